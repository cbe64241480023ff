using Compress.Core.Methods;

namespace Compress.Core.Tests.Methods;

public class PatternTests
{
    [Theory]
    [InlineData("2:4", 2, 4, 0.5)]
    [InlineData("1:4", 1, 4, 0.75)]
    [InlineData("16:32", 16, 32, 0.5)]
    public void N_of_m_is_read(string text, int kept, int group, double sparsity)
    {
        var pattern = Pattern.Parse(text);
        Assert.Equal((kept, group, sparsity, text), (pattern.Kept, pattern.Group, pattern.Sparsity, pattern.ToString()));
    }

    [Fact]
    public void Unstructured_is_the_default()
    {
        Assert.Equal(default, Pattern.Parse("unstructured"));
        Assert.Equal("unstructured", default(Pattern).ToString());
        Assert.Null(default(Pattern).Sparsity);
    }

    [Theory]
    [InlineData("4:2")]
    [InlineData("0:4")]
    [InlineData("4:4")]
    [InlineData("2/4")]
    [InlineData("2:4:8")]
    [InlineData("-1:4")]
    [InlineData("1:257")]
    [InlineData("")]
    public void Anything_else_is_refused(string text) => Assert.Throws<FormatException>(() => Pattern.Parse(text));
}
