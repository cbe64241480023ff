using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Compress.Formats.Tokenizers.Patterns;

namespace Compress.Formats.Tests.Tokenizers;

public class PatternTests
{
    static List<string> Matches(string pattern, string text) => Matches(new Pattern(pattern), text);

    static List<string> Matches(Pattern pattern, string text)
    {
        var found = new List<string>();
        pattern.ForEachMatch(text, (start, length) => found.Add($"{start}:{text.Substring(start, length)}"));
        return found;
    }

    /// <summary>Random patterns over the syntax that both engines read alike; .NET's is the judge.</summary>
    [Fact]
    public void Random_patterns_match_as_in_another_engine()
    {
        var random = new Random(7);
        for (var i = 0; i < 2000; i++)
        {
            var pattern = RandomPattern(random, 3);
            var regex = new Regex(pattern, RegexOptions.Multiline | RegexOptions.CultureInvariant, TimeSpan.FromSeconds(20));
            var compiled = new Pattern(pattern);
            for (var k = 0; k < 8; k++)
            {
                // After a newline at the very end, ^ matches in .NET and not in Oniguruma.
                var text = new string([.. Enumerable.Range(0, random.Next(14)).Select(_ => "abcA1 \né"[random.Next(8)])]).TrimEnd('\n');
                var expected = string.Join(" | ", regex.Matches(text).Where(m => m.Length > 0).Select(m => $"{m.Index}:{m.Value}"));
                var actual = string.Join(" | ", Matches(compiled, text));
                Assert.True(expected == actual, $"/{pattern}/ on '{text}': {actual} instead of {expected}");
            }
        }
    }

    static string RandomPattern(Random random, int depth)
    {
        string[] atoms = ["a", "b", "c", "1", " ", @"\s", @"\S", @"\d", @"\p{L}", "[A-Z]", @"[ab]", @"[^ab]", @"[a-c1]", @"[^\s\p{L}]", ".",
            "^", "$", @"\b", @"\B", @"\n", @"[\S\n]"];
        var text = new StringBuilder();
        for (var i = random.Next(1, 4); i > 0; i--)
        {
            var anchor = false;
            if (depth == 0 || random.Next(3) > 0)
            {
                var atom = atoms[random.Next(atoms.Length)];
                anchor = atom is "^" or "$" or @"\b" or @"\B";
                text.Append(atom);
            }
            else
            {
                string[] opens = ["(?:", "(", "(?>", "(?i:", "(?=", "(?!"];
                var open = opens[random.Next(opens.Length)];
                anchor = open is "(?=" or "(?!";
                // Engines differ where a repeated group may match nothing, so every group begins with a character.
                text.Append(open).Append("[abc]").Append("(?:").Append(RandomPattern(random, depth - 1)).Append("))");
            }
            if (!anchor && random.Next(2) == 0)
            {
                string[] quantifiers = ["*", "+", "?", "{2}", "{1,2}", "{2,}", "*?", "+?", "??"];
                // .NET takes too much for a lazy interval ({1,3}?), so those are left out.
                text.Append(quantifiers[random.Next(quantifiers.Length)]);
            }
        }
        return depth > 0 && random.Next(3) == 0 ? $"{text}|{RandomPattern(random, depth - 1)}" : text.ToString();
    }

    [Theory]
    [InlineData(@"\p{L}+", "a𠀀b1", "0:a𠀀b")]
    [InlineData(@"[^\s\p{L}\p{N}]+", "😀🏽 x", "0:😀🏽")]
    [InlineData(@"[𐐀-𐐯]+", "x𐐀𐐏y", "1:𐐀𐐏")]
    [InlineData(@"(?<=😀)x", "x😀x", "3:x")]
    [InlineData(@"[^a]?b", "😀b", "0:😀b")]
    [InlineData(@"😀{2}", "😀😀😀", "0:😀😀")]
    [InlineData(@"(?i:'s)", "'S'ſ", "0:'S", "2:'ſ")]
    [InlineData(@"a?+a", "a aa", "2:aa")]
    [InlineData(@"a++b|a", "aab aac", "0:aab", "4:a", "5:a")]
    [InlineData(@"[a-d&&[^c]]+", "abcd", "0:ab", "3:d")]
    [InlineData(@"[[:alpha:]_]+", "ab_1é", "0:ab_", "4:é")]
    [InlineData(@"[^(\s|[.,])]+", "(a|b).c", "1:a", "3:b", "6:c")]
    [InlineData(@"\x{1F600}|\u00e9", "😀é", "0:😀", "2:é")]
    [InlineData(@"\p{Han}+|\P{Han}", "漢字a", "0:漢字", "2:a")]
    public void What_other_engines_read_differently_is_read_as_oniguruma_does(string pattern, string text, params string[] expected) =>
        Assert.Equal(expected, Matches(pattern, text));

    [Theory]
    [InlineData("(")]
    [InlineData("a)")]
    [InlineData("[a")]
    [InlineData("[]")]
    [InlineData("*a")]
    [InlineData("a{3,1}")]
    [InlineData("a{2000}")]
    [InlineData("a{x}")]
    [InlineData("[b-a]")]
    [InlineData(@"\")]
    [InlineData(@"\p{Klingon}")]
    [InlineData(@"\x{110000}")]
    [InlineData(@"(a)\1")]
    [InlineData("(?<name>a)")]
    [InlineData("(?<=a*)b")]
    [InlineData("((((a{1000}){1000}){1000}){1000})")]
    public void Malformed_and_unsupported_patterns_are_refused(string pattern) => Assert.Throws<FormatException>(() => new Pattern(pattern));

    [Fact]
    public void A_deeply_nested_pattern_is_refused() =>
        Assert.Throws<FormatException>(() => new Pattern(new string('(', 5000) + "a" + new string(')', 5000)));

    [Theory]
    [InlineData("(a|a)*b")]
    [InlineData("(a*)*b")]
    [InlineData("(a+)+$|c")]
    public void Endless_backtracking_ends_in_an_error(string pattern)
    {
        var clock = Stopwatch.StartNew();
        Assert.Throws<FormatException>(() => Matches(pattern, new string('a', 64) + "!"));
        Assert.True(clock.Elapsed < TimeSpan.FromMinutes(1), $"{clock.Elapsed}");
    }

    [Theory]
    [InlineData(@"\s+$")]
    [InlineData(@"\s*[\r\n]+|\s+(?!\S)|\s+")]
    public void Long_runs_of_white_space_stay_linear(string pattern)
    {
        var text = "x" + new string(' ', 1_000_000) + "y";
        new Pattern(pattern).ForEachMatch(text, (_, _) => { });
    }
}
