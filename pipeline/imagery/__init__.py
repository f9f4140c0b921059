"""Local scenes, their pixels and their chips; no source of imagery and no vectors."""
