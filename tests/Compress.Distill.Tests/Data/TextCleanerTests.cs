using Compress.Distill.Data;

namespace Compress.Distill.Tests.Data;

public sealed class TextCleanerTests
{
    [Theory]
    [InlineData("  Copies\r\n   the   array . ", "Copies the array.")]
    [InlineData("The string\u2019s \u201cname\u201d \u2013 or nothing at all in the table\u2026", "The string's \"name\" - or nothing at all in the table...")]
    [InlineData("Gets the value\u00a0of it", "Gets the value of it")]
    public void Whitespace_and_typography_become_plain(string text, string expected) => Assert.Equal(expected, TextCleaner.Clean(text));

    [Theory]
    [InlineData("__m256i _mm256_abs_epi16 (__m256i a)")]
    [InlineData("VPABSW ymm1 {k1}{z}, ymm2/m256")]
    [InlineData("-or-")]
    [InlineData("svuint64_t svorr[_u64]_z(svbool_t pg, svuint64_t op1)")]
    [InlineData("Ver\u00f6ffentlicht eine Nachricht an alle")]
    [InlineData("See https://example.org for the details of this")]
    [InlineData("x = y * 3 + 12 - z / 17 % 4 of it all")]
    [InlineData("")]
    public void What_is_not_english_prose_is_rejected(string text) => Assert.Null(TextCleaner.Clean(text));
}
