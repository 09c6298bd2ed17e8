"""Asking first: `backup --if-changed` reads only what may have changed, and in any doubt everything."""
