"""`watch` in virtual time: outages, limits, a second client, kills, a full disk."""
