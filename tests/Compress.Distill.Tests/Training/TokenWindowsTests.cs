using Compress.Distill.Training;

namespace Compress.Distill.Tests.Training;

[Collection(TorchTests.Name)]
public sealed class TokenWindowsTests
{
    /// <summary>Token values are unique, so that every token can be traced to its place.</summary>
    static readonly int[][] Documents = [[.. Enumerable.Range(0, 37)], [.. Enumerable.Range(100, 80)], [.. Enumerable.Range(300, 41)]];

    [Fact]
    public void An_epoch_covers_the_stream_without_overlap_of_predicted_tokens()
    {
        var windows = new TokenWindows(Documents, 8, seed: 3);
        Assert.Equal((37 + 80 + 41 - 8) / 8, windows.PerEpoch);
        var predicted = Enumerable.Range(0, windows.PerEpoch).SelectMany(i => windows.Window(i)[1..].ToArray()).ToList();
        Assert.Equal(predicted.Count, predicted.Distinct().Count());
        Assert.True(predicted.Count >= 158 - 16);
    }

    [Fact]
    public void Tokens_within_a_window_keep_the_order_of_their_document()
    {
        var windows = new TokenWindows(Documents, 8, seed: 3);
        for (var i = 0; i < 3 * windows.PerEpoch; i++)
        {
            var window = windows.Window(i).ToArray();
            Assert.Equal(9, window.Length);
            for (var t = 1; t < window.Length; t++)
                Assert.True(window[t] == window[t - 1] + 1 || window[t] is 0 or 100 or 300, $"{window[t - 1]} then {window[t]}");
        }
    }

    [Fact]
    public void A_window_depends_on_seed_and_position_alone()
    {
        var inOrder = new TokenWindows(Documents, 8, seed: 5);
        var all = Enumerable.Range(0, 60).Select(i => inOrder.Window(i).ToArray()).ToList();
        var jumping = new TokenWindows(Documents, 8, seed: 5);
        foreach (var i in new[] { 59, 3, 44, 0, 20 }) Assert.Equal(all[i], jumping.Window(i).ToArray());
        var other = new TokenWindows(Documents, 8, seed: 6);
        Assert.NotEqual(all, Enumerable.Range(0, 60).Select(i => other.Window(i).ToArray()));
        Assert.NotEqual(all[..inOrder.PerEpoch], all[inOrder.PerEpoch..(2 * inOrder.PerEpoch)]);
    }

    [Fact]
    public void A_batch_holds_consecutive_windows()
    {
        Core.Torch.TorchBackend.EnsureLoaded();
        var windows = new TokenWindows(Documents, 8, seed: 5);
        using var batch = windows.Batch(4, 2, TorchSharp.torch.CPU);
        Assert.Equal([2L, 9L], batch.shape);
        Assert.Equal([.. windows.Window(4), .. windows.Window(5)], batch.data<long>().ToArray().Select(id => (int)id));
    }

    [Fact]
    public void Too_little_text_is_refused() => Assert.Throws<ArgumentException>(() => new TokenWindows([[1, 2, 3]], 8, 0));
}
