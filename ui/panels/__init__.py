"""The parts of the window, one noun per file. A panel gets finished text and changes what is different."""
