using System.Text;

namespace Compress.Distill.Data;

/// <summary>Turns a documentation paragraph into one clean line of English, or rejects it.</summary>
public static class TextCleaner
{
    /// <summary>Fewer letters than this in a hundred characters (blanks apart) is a signature, a table or a formula.</summary>
    const int LeastLetterPercent = 82;

    /// <summary>Marks of things that are not prose: intrinsics' C signatures, markup left over, code, web addresses.</summary>
    static readonly string[] NotProse =
        ["__m", "_mm", "</", "/>", "=>", "();", "::", "```", "](", "[!", "<xref", "xref:", "http:", "https:", "{{", "&&", "||", " ; ",
         "docs.microsoft", "TODO"];

    /// <summary>Collapses whitespace and typographic variants; null where the text is not an English sentence or phrase.</summary>
    public static string? Clean(string text)
    {
        var line = Normalise(text);
        return IsProse(line) ? line : null;
    }

    static string Normalise(string text)
    {
        var line = new StringBuilder(text.Length);
        var blank = false;
        foreach (var c in text)
        {
            if (char.IsWhiteSpace(c) || c is '\u200b' or '\ufeff')
            {
                blank = line.Length > 0;
                continue;
            }
            if (blank && !(c is '.' or ',' or ';' or ')' && line[^1] != '.')) line.Append(' ');
            blank = false;
            line.Append(Plain(c));
        }
        return line.ToString();
    }

    static string Plain(char c) => c switch
    {
        '\u2018' or '\u2019' => "'",
        '\u201c' or '\u201d' => "\"",
        '\u2010' or '\u2011' or '\u2012' or '\u2013' or '\u2014' or '\u2212' => "-",
        '\u2026' => "...",
        '\u00d7' => "x",
        '\u2264' => "<=",
        '\u2265' => ">=",
        _ => c.ToString(),
    };

    static bool IsProse(string line)
    {
        if (line.Length < 8 || NotProse.Any(mark => line.Contains(mark, StringComparison.Ordinal))) return false;
        int letters = 0, visible = 0, words = 0, foreign = 0;
        foreach (var c in line)
        {
            if (c != ' ') visible++;
            if (char.IsAsciiLetter(c)) letters++;
            if (c > '~') foreign++;
        }
        foreach (var word in line.Split(' '))
        {
            if (IsPlainWord(word)) words++;
        }
        return foreign == 0 && words >= 2 && letters * 100 >= visible * LeastLetterPercent && HasNoEndlessWord(line);
    }

    /// <summary>A lower-case word of prose, with the punctuation that may follow it.</summary>
    static bool IsPlainWord(string word)
    {
        var core = word.AsSpan().Trim("\"'(),.;:");
        if (core.Length is < 2 or > 20) return false;
        foreach (var c in core)
        {
            if (!char.IsAsciiLetterLower(c) && c != '-' && c != '\'') return false;
        }
        return true;
    }

    static bool HasNoEndlessWord(string line) => line.Split(' ').All(word => word.Length <= 80);
}
