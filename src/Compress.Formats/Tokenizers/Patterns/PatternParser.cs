using System.Globalization;
using System.Text;

namespace Compress.Formats.Tokenizers.Patterns;

/// <summary>Parses the regular expressions found in tokenizer files (Oniguruma and Rust syntax as far as both agree) by recursive descent.</summary>
/// <remarks>Back-references, named calls and conditionals are refused: no published tokenizer uses them and they make matching unbounded.</remarks>
sealed class PatternParser
{
    const int MaximumDepth = 64;
    const int MaximumRepeat = 1000;
    readonly string pattern;
    int at;
    int depth;
    bool ignoreCase;

    PatternParser(string pattern) => this.pattern = pattern;

    /// <summary>Parses a pattern.</summary>
    /// <exception cref="FormatException">The pattern is malformed or uses what is not supported.</exception>
    internal static PatternNode Parse(string pattern)
    {
        var parser = new PatternParser(pattern);
        var node = parser.ParseChoice();
        return parser.at == pattern.Length ? node : throw parser.Wrong("unmatched ')'");
    }

    PatternNode ParseChoice()
    {
        if (++depth > MaximumDepth) throw Wrong("groups are nested too deeply");
        var outerCase = ignoreCase;
        var branches = new List<PatternNode> { ParseSequence() };
        while (Accept("|")) branches.Add(ParseSequence());
        ignoreCase = outerCase;
        depth--;
        return branches.Count == 1 ? branches[0] : new PatternNode.Choice(branches);
    }

    PatternNode ParseSequence()
    {
        var items = new List<PatternNode>();
        while (at < pattern.Length && pattern[at] is not ('|' or ')'))
        {
            if (ParseAtom() is { } atom) items.Add(ParseQuantifiers(atom));
        }
        return items.Count == 1 ? items[0] : new PatternNode.Sequence(items);
    }

    PatternNode? ParseAtom()
    {
        switch (pattern[at])
        {
            case '(': return ParseGroup();
            case '[': return new PatternNode.Class(ParseClass());
            case '.':
                at++;
                return new PatternNode.Class(CodePointSet.AnyButNewline);
            case '^':
                at++;
                return new PatternNode.Anchor(AnchorKind.LineStart);
            case '$':
                at++;
                return new PatternNode.Anchor(AnchorKind.LineEnd);
            case '\\': return ParseEscape();
            case '*' or '+' or '?': throw Wrong("a quantifier has nothing to repeat");
            default: return Class(Single(NextCodePoint()));
        }
    }

    PatternNode? ParseGroup()
    {
        at++;
        if (Accept("?:")) return Close(ParseChoice());
        if (Accept("?=")) return Close(new PatternNode.Look(ParseChoice(), Behind: false, Negative: false));
        if (Accept("?!")) return Close(new PatternNode.Look(ParseChoice(), Behind: false, Negative: true));
        if (Accept("?<=")) return Close(new PatternNode.Look(ParseChoice(), Behind: true, Negative: false));
        if (Accept("?<!")) return Close(new PatternNode.Look(ParseChoice(), Behind: true, Negative: true));
        if (Accept("?>")) return Close(new PatternNode.Atomic(ParseChoice()));
        if (Accept("?i:"))
        {
            var outer = ignoreCase;
            ignoreCase = true;
            var body = ParseChoice();
            ignoreCase = outer;
            return Close(body);
        }
        if (Accept("?i)"))
        {
            ignoreCase = true;
            return null;
        }
        if (at < pattern.Length && pattern[at] == '?') throw Wrong("this kind of group is not supported");
        return Close(ParseChoice());
    }

    PatternNode Close(PatternNode node) => Accept(")") ? node : throw Wrong("a group is not closed");

    PatternNode ParseEscape()
    {
        if (at + 1 >= pattern.Length) throw Wrong("the pattern ends in a backslash");
        AnchorKind? anchor = pattern[at + 1] switch
        {
            'A' => AnchorKind.TextStart,
            'z' => AnchorKind.TextEnd,
            'Z' => AnchorKind.TextEndOrFinalNewline,
            'b' => AnchorKind.WordBoundary,
            'B' => AnchorKind.NotWordBoundary,
            _ => null,
        };
        // A property or shorthand keeps its meaning where case is ignored.
        if (anchor is null) return IsSingleEscape(pattern, at) ? Class(ParseEscapedSet()) : new PatternNode.Class(ParseEscapedSet());
        at += 2;
        return new PatternNode.Anchor(anchor.Value);
    }

    PatternNode ParseQuantifiers(PatternNode body)
    {
        while (at < pattern.Length && ReadQuantifier(out var min, out var max, out var braces))
        {
            // {n,m}+ repeats the interval again in Oniguruma's Ruby syntax; only ?+ *+ ++ are possessive.
            if (!braces && Accept("+"))
            {
                body = new PatternNode.Atomic(new PatternNode.Repeat(body, min, max, Greedy: true));
            }
            else
            {
                var lazy = Accept("?");
                body = new PatternNode.Repeat(body, min, max, !lazy);
            }
        }
        return body;
    }

    bool ReadQuantifier(out int min, out int max, out bool braces)
    {
        (min, max, braces) = (0, -1, false);
        switch (pattern[at])
        {
            case '*':
                at++;
                return true;
            case '+':
                min = 1;
                at++;
                return true;
            case '?':
                max = 1;
                at++;
                return true;
            case '{':
                braces = true;
                return ReadInterval(out min, out max);
            default: return false;
        }
    }

    bool ReadInterval(out int min, out int max)
    {
        (min, max) = (0, -1);
        var end = pattern.IndexOf('}', at);
        if (end < 0) throw Wrong("'{' has no '}'");
        var parts = pattern[(at + 1)..end].Split(',');
        if (parts.Length > 2 || !ReadCount(parts[0], 0, out min)) throw Wrong("a repetition count is malformed");
        if (parts.Length == 1) max = min;
        else if (!ReadCount(parts[1], -1, out max)) throw Wrong("a repetition count is malformed");
        if (min > MaximumRepeat || max > MaximumRepeat || (max >= 0 && max < min)) throw Wrong("a repetition count is out of range");
        at = end + 1;
        return true;
    }

    static bool ReadCount(string text, int whenEmpty, out int value)
    {
        value = whenEmpty;
        return text.Length == 0 || int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);
    }

    PatternNode.Class Class(CodePointSet set) => new(ignoreCase ? set.IgnoringCase() : set);

    CodePointSet ParseClass()
    {
        if (++depth > MaximumDepth) throw Wrong("classes are nested too deeply");
        at++;
        var negated = Accept("^");
        // Case is ignored before a class is negated: [^a] then excludes A too.
        var all = ignoreCase ? ParseClassBody().IgnoringCase() : ParseClassBody();
        depth--;
        return negated ? all.Negated() : all;
    }

    // Reads up to and with the closing bracket; what follows && is an operand of its own.
    CodePointSet ParseClassBody()
    {
        var items = new List<CodePointSet>();
        while (true)
        {
            if (at >= pattern.Length) throw Wrong("a character class is not closed");
            if (items.Count > 0 && Accept("]")) return CodePointSet.Union(items);
            if (items.Count > 0 && Accept("&&")) break;
            items.Add(ParseClassItem());
        }
        if (++depth > MaximumDepth) throw Wrong("classes are nested too deeply");
        var both = CodePointSet.Union(items).Within(ParseClassBody());
        depth--;
        return both;
    }

    CodePointSet ParseClassItem()
    {
        if (pattern[at] == '[')
        {
            return at + 1 < pattern.Length && pattern[at + 1] == ':' ? ParsePosixClass() : ParseClass();
        }
        if (pattern[at] == '\\' && !IsSingleEscape(pattern, at)) return ParseEscapedSet();
        var low = ReadClassCharacter();
        if (at + 1 < pattern.Length && pattern[at] == '-' && pattern[at + 1] != ']')
        {
            at++;
            var high = ReadClassCharacter();
            return high >= low ? CodePointSet.Range(low, high) : throw Wrong("a range of characters is empty");
        }
        return Single(low);
    }

    static bool IsSingleEscape(string pattern, int at) =>
        at + 1 < pattern.Length && pattern[at + 1] is not ('p' or 'P' or 's' or 'S' or 'd' or 'D' or 'w' or 'W' or 'h' or 'H' or 'R' or 'X');

    int ReadClassCharacter()
    {
        if (pattern[at] != '\\') return NextCodePoint();
        if (!IsSingleEscape(pattern, at)) throw Wrong("a range must run between single characters");
        return ReadEscapedCharacter();
    }

    CodePointSet ParsePosixClass()
    {
        var end = pattern.IndexOf(":]", at, StringComparison.Ordinal);
        if (end < 0) throw Wrong("a POSIX class is not closed");
        var name = pattern[(at + 2)..end];
        at = end + 2;
        var negated = name.StartsWith('^');
        var set = (negated ? name[1..] : name) switch
        {
            "alpha" => CodePointSet.OfCategories(CodePointSet.CategoryMask("L")!.Value),
            "digit" => CodePointSet.Digit,
            "space" => CodePointSet.WhiteSpace,
            "punct" => CodePointSet.OfCategories(CodePointSet.CategoryMask("P")!.Value | CodePointSet.CategoryMask("S")!.Value),
            "word" => CodePointSet.Word,
            "upper" => CodePointSet.OfCategories(CodePointSet.CategoryMask("Lu")!.Value),
            "lower" => CodePointSet.OfCategories(CodePointSet.CategoryMask("Ll")!.Value),
            "cntrl" => CodePointSet.OfCategories(CodePointSet.CategoryMask("Cc")!.Value),
            _ => throw Wrong("this POSIX class is not supported"),
        };
        return negated ? set.Negated() : set;
    }

    CodePointSet ParseEscapedSet()
    {
        if (at + 1 >= pattern.Length) throw Wrong("the pattern ends in a backslash");
        var letter = pattern[at + 1];
        CodePointSet? set = letter switch
        {
            's' => CodePointSet.WhiteSpace,
            'S' => CodePointSet.WhiteSpace.Negated(),
            'd' => CodePointSet.Digit,
            'D' => CodePointSet.Digit.Negated(),
            'w' => CodePointSet.Word,
            'W' => CodePointSet.Word.Negated(),
            _ => null,
        };
        if (set is not null)
        {
            at += 2;
            return set;
        }
        if (letter is 'p' or 'P') return ParseProperty(letter == 'P');
        return Single(ReadEscapedCharacter());
    }

    CodePointSet ParseProperty(bool negated)
    {
        at += 2;
        string name;
        if (at < pattern.Length && pattern[at] == '{')
        {
            var end = pattern.IndexOf('}', at);
            if (end < 0) throw Wrong("\\p{ is not closed");
            name = pattern[(at + 1)..end];
            at = end + 1;
        }
        else
        {
            name = at < pattern.Length ? pattern[at++].ToString() : throw Wrong("\\p needs a property");
        }
        if (name.StartsWith('^'))
        {
            negated = !negated;
            name = name[1..];
        }
        var set = UnicodeScripts.Find(name)
            ?? (CodePointSet.CategoryMask(name) is { } mask ? CodePointSet.OfCategories(mask) : throw Wrong($"\\p{{{name}}} is not supported"));
        return negated ? set.Negated() : set;
    }

    int ReadEscapedCharacter()
    {
        var c = pattern[at + 1];
        at += 2;
        switch (c)
        {
            case 'n': return '\n';
            case 'r': return '\r';
            case 't': return '\t';
            case 'v': return '\v';
            case 'f': return '\f';
            case 'a': return '\a';
            case 'e': return 0x1B;
            case 'x' or 'u' or 'U': return ReadHex(c);
            default:
                if (char.IsAsciiLetterOrDigit(c)) throw Wrong($"\\{c} is not supported");
                at--;
                return NextCodePoint();
        }
    }

    int ReadHex(char kind)
    {
        string digits;
        if (Accept("{"))
        {
            var end = pattern.IndexOf('}', at);
            if (end < 0) throw Wrong("a hexadecimal escape is not closed");
            digits = pattern[at..end];
            at = end + 1;
        }
        else
        {
            var length = kind switch { 'x' => 2, 'u' => 4, _ => 8 };
            if (at + length > pattern.Length) throw Wrong("a hexadecimal escape is cut off");
            digits = pattern.Substring(at, length);
            at += length;
        }
        return int.TryParse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) && value is >= 0 and <= 0x10FFFF
            ? value
            : throw Wrong("a hexadecimal escape is not a code point");
    }

    static CodePointSet Single(int codePoint) => CodePointSet.Range(codePoint, codePoint);

    int NextCodePoint()
    {
        var value = CodePointSet.CodePointAt(pattern, at, out var length);
        at += length;
        return value;
    }

    bool Accept(string token)
    {
        if (string.CompareOrdinal(pattern, at, token, 0, token.Length) != 0) return false;
        at += token.Length;
        return true;
    }

    FormatException Wrong(string problem) =>
        new(string.Create(CultureInfo.InvariantCulture, $"pattern {Shortened()}: {problem} (at character {at})"));

    string Shortened()
    {
        var text = new StringBuilder("'");
        text.Append(pattern.AsSpan(0, Math.Min(80, pattern.Length)));
        return text.Append(pattern.Length > 80 ? "…'" : "'").ToString();
    }
}
