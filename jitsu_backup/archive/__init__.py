"""The archive: a snapshot as bytes. Nothing here opens a file."""

from typing import TYPE_CHECKING

from jitsu_backup.lazy import exports

if TYPE_CHECKING:
    from jitsu_backup.archive.codec import (
        MAX_DOCUMENT_BYTES as MAX_DOCUMENT_BYTES,
        VERSION as VERSION,
        decode as decode,
        digest as digest,
        encode as encode,
    )
    from jitsu_backup.archive.encryption import (
        decrypt as decrypt,
        encrypt as encrypt,
        identities_in as identities_in,
        is_encrypted as is_encrypted,
        key_mark as key_mark,
        new_identity as new_identity,
        recipients_of_identities as recipients_of_identities,
    )
    from jitsu_backup.archive.filename import (
        ACCEPTED as ACCEPTED,
        BY_PHRASE as BY_PHRASE,
        CLONED as CLONED,
        CLONING as CLONING,
        ENCRYPTED_SUFFIX as ENCRYPTED_SUFFIX,
        INCOMPLETE as INCOMPLETE,
        LEAST_COUNT as LEAST_COUNT,
        OPERATOR as OPERATOR,
        PACKED as PACKED,
        PRE_RESTORE as PRE_RESTORE,
        SHRUNK as SHRUNK,
        SUFFIX as SUFFIX,
        UNBACKED as UNBACKED,
        UNCOMPARED as UNCOMPARED,
        WEAKER as WEAKER,
        ArchiveName as ArchiveName,
        archives_in as archives_in,
        is_label as is_label,
        newest_first as newest_first,
        parse_name as parse_name,
        safe_text as safe_text,
    )
    from jitsu_backup.archive.sketches import digits_changed as digits_changed, least_changed as least_changed
    from jitsu_backup.archive.snapshot_name import (
        archive_name as archive_name,
        backup_mark as backup_mark,
        check_name as check_name,
        check_origin as check_origin,
        check_size as check_size,
        name_counts as name_counts,
        named_sources as named_sources,
        sized as sized,
        source_mark as source_mark,
        type_in_name as type_in_name,
        undo_mark as undo_mark,
    )
    from jitsu_backup.archive.tree_reader import (
        UNMERGED as UNMERGED,
        TreeContent as TreeContent,
        from_tree as from_tree,
        left_out as left_out,
        read_files as read_files,
        unmerged as unmerged,
    )
    from jitsu_backup.archive.tree_writer import (
        shown as shown,
        shown_digest as shown_digest,
        to_tree as to_tree,
    )
else:
    __getattr__, __all__ = exports(__name__, __file__)
