"""The music index: annotations -> windows -> bundled index, the alignment of scales, the starter music."""
