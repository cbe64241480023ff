using Compress.Core.Calibration;
using Compress.Formats;

namespace Compress.Core.Tests.Calibration;

public sealed class WindowSamplerTests
{
    private static readonly Func<string, int[]> Characters = text => [.. text.Select(c => (int)c)];

    private static string Text(int document, int length) =>
        string.Concat(Enumerable.Range(0, length).Select(i => (char)('0' + ((document + i) % 64))));

    [Fact]
    public void Windows_are_exact_slices_of_long_enough_documents()
    {
        var documents = Enumerable.Range(0, 50).Select(i => Text(i, 5 + (i * 3))).ToArray();
        var draw = new WindowSampler(documents, Characters, "data").Draw(40, 20, seed: 7);
        Assert.Equal(WindowSampling.Documents, draw.Sampling);
        Assert.Equal(50, draw.Documents);
        Assert.Equal(40, draw.Windows.Count);
        Assert.All(draw.Windows, window =>
        {
            var tokens = Characters(documents[window.Document]);
            Assert.True(tokens.Length > 20);
            Assert.Equal(tokens[window.Start..(window.Start + 20)], window.Tokens);
        });
        Assert.True(draw.Windows.Select(w => w.Document).Distinct().Count() > 15);
    }

    [Fact]
    public void The_seed_decides_and_nothing_else()
    {
        var documents = Enumerable.Range(0, 20).Select(i => Text(i, 30 + i)).ToArray();
        WindowDraw Draw(int seed) => new WindowSampler(documents, Characters, "data").Draw(10, 16, seed);
        int[] Flat(WindowDraw draw) => [.. draw.Windows.SelectMany(w => w.Tokens)];
        Assert.Equal(Flat(Draw(3)), Flat(Draw(3)));
        Assert.NotEqual(Flat(Draw(3)), Flat(Draw(4)));
    }

    [Fact]
    public void More_samples_extend_fewer()
    {
        var documents = Enumerable.Range(0, 20).Select(i => Text(i, 10 + (i * 2))).ToArray();
        var few = new WindowSampler(documents, Characters, "data").Draw(5, 16, seed: 1);
        var many = new WindowSampler(documents, Characters, "data").Draw(25, 16, seed: 1);
        Assert.Equal(few.Windows.Select(w => w.Tokens), many.Windows.Take(5).Select(w => w.Tokens));
    }

    [Fact]
    public void One_text_gives_windows_from_anywhere_in_it()
    {
        var draw = new WindowSampler([Text(0, 400)], Characters, "data").Draw(200, 16, seed: 0);
        Assert.Equal(WindowSampling.Text, draw.Sampling);
        Assert.InRange(draw.Windows.Min(w => w.Start), 0, 20);
        Assert.InRange(draw.Windows.Max(w => w.Start), 360, 400 - 16 - 1);
    }

    [Fact]
    public void Starts_cover_the_whole_range_of_the_published_loader()
    {
        var draw = new WindowSampler([Text(0, 20)], Characters, "data").Draw(200, 16, seed: 0);
        Assert.Equal([0, 1, 2, 3], draw.Windows.Select(w => w.Start).Distinct().Order());
    }

    [Fact]
    public void Short_documents_are_joined()
    {
        var documents = Enumerable.Range(0, 30).Select(i => Text(i, 10)).ToArray();
        var draw = new WindowSampler(documents, Characters, "data").Draw(4, 50, seed: 0);
        Assert.Equal(WindowSampling.Joined, draw.Sampling);
        var joined = Characters(string.Join("\n\n", documents));
        Assert.All(draw.Windows, w => Assert.Equal(joined[w.Start..(w.Start + 50)], w.Tokens));
    }

    [Fact]
    public void Documents_that_tokenise_too_short_are_redrawn()
    {
        // Three bytes a token: most documents have bytes enough and tokens too few.
        int[] Triples(string text) => [.. text.Chunk(3).Select(c => (int)c[0])];
        var documents = Enumerable.Range(0, 200).Select(i => Text(i, i == 150 ? 100 : 30)).ToArray();
        var draw = new WindowSampler(documents, Triples, "data").Draw(3, 20, seed: 0);
        Assert.Equal(WindowSampling.Documents, draw.Sampling);
        Assert.All(draw.Windows, w => Assert.Equal(150, w.Document));
    }

    [Fact]
    public void Too_little_text_is_refused_with_both_numbers()
    {
        var failure = Assert.Throws<ModelFileException>(() => new WindowSampler(["0123456789"], Characters, "few.txt").Draw(4, 16, 0));
        Assert.Contains("few.txt", failure.Message, StringComparison.Ordinal);
        Assert.Contains("10 tokens", failure.Message, StringComparison.Ordinal);
        Assert.Contains("16", failure.Message, StringComparison.Ordinal);
        Assert.Throws<ModelFileException>(() => new WindowSampler([], Characters, "none.txt").Draw(4, 16, 0));
    }
}
