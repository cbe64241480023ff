using System.Security.Cryptography;
using System.Text;
using Compress.Formats.Tokenizers.HuggingFace;
using Compress.Formats.Tokenizers.Normalization;

namespace Compress.Formats.Tests.Tokenizers;

/// <summary>The hashes were made with Python's unicodedata (Unicode 14): every code point alone and among marks and Hangul jamo.</summary>
public class UnicodeNormalizerTests
{
    static IEnumerable<string> Everything => Enumerable.Range(0, 0x110000).Where(c => c is < 0xD800 or > 0xDFFF).Select(char.ConvertFromUtf32);

    static string Hash(IEnumerable<string> lines)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var line in lines) hash.AppendData(Encoding.UTF8.GetBytes(line + "\n"));
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    [Theory]
    [InlineData(NormalizationForm.FormC, "8ab3a7f50881874b8e3a69ddd24d7f5f0300ca901a612cc618b81459a0431a34")]
    [InlineData(NormalizationForm.FormD, "5f6369788295c6aa6fa40e8ac0b6c8396cb7f895baad5fb60c77a1bebe663975")]
    [InlineData(NormalizationForm.FormKC, "827ecc29da741bc47f9cab289426d280ee21283c8a4be1fafdb190001c9a1f5f")]
    [InlineData(NormalizationForm.FormKD, "c9e660d550dd5ca0287b071d78e9f122d939b6717fb46798ca0dcfc03d2f9275")]
    public void Every_code_point_normalizes_as_in_the_character_database(NormalizationForm form, string expected) =>
        Assert.Equal(expected, Hash(Everything.SelectMany(c => new[]
        {
            UnicodeNormalizer.Normalize(c, form), UnicodeNormalizer.Normalize("a\u0327" + c + "\u0301\u0334\u1161\u11a8", form),
        })));

    [Fact]
    public void Every_code_point_has_the_lower_case_of_the_character_database()
    {
        // Letters that came after Unicode 14 and that .NET knows already.
        static bool IsLater(int c) => c is 0x1C89 or 0xA7CB or 0xA7CC or 0xA7DA or 0xA7DC or (>= 0x10D50 and <= 0x10D65);
        var changed = Everything.Where(c => !IsLater(char.ConvertToUtf32(c, 0)) && Normalizer.Lowercase(c) != c).Select(Normalizer.Lowercase);
        Assert.Equal("4b291292068766f6683cea6317fcc3ec24c72f26a6c3fcde688928b79f5a23f6", Hash(changed));
    }
}
