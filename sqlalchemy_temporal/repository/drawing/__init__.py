"""The commit graph drawn: as text, with rich, as DOT, SVG or PNG."""
