#!/usr/bin/env python3
"""Writes UnicodeNormalization.txt from Python's own copy of the Unicode Character Database (unicodedata).

One line for each code point with a decomposition or a combining class other than 0, Hangul syllables left out:
    <code point>;<combining class, empty for 0>;<kind>;<decomposition, one level>
in hexadecimal, with kind '=' canonical and used for composition, '!' canonical and excluded from composition, '~' compatibility.
"""
import sys
import unicodedata

with open("UnicodeNormalization.txt", "w", encoding="ascii", newline="\n") as out:
    out.write("# From the Unicode Character Database %s (Unicode License), made by make_unicode_data.py\n" % unicodedata.unidata_version)
    for point in range(0x110000):
        char = chr(point)
        combining = unicodedata.combining(char)
        mapping = unicodedata.decomposition(char)
        if 0xAC00 <= point <= 0xD7A3 or (not combining and not mapping):
            continue
        kind = ""
        if mapping.startswith("<"):
            kind, mapping = "~", mapping.split("> ")[1]
        elif mapping:
            pair = "".join(chr(int(x, 16)) for x in mapping.split())
            kind = "=" if len(pair) == 2 and unicodedata.normalize("NFC", pair) == char else "!"
        mapping = " ".join("%X" % int(x, 16) for x in mapping.split())
        out.write("%X;%s;%s;%s\n" % (point, combining or "", kind, mapping))
