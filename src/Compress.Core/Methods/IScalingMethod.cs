using static TorchSharp.torch;

namespace Compress.Core.Methods;

/// <summary>
/// A linear method that first moves scale between the channels of a block's sites and what lies before them (AWQ, SmoothQuant):
/// <c>(x/s)·(W·s)ᵀ = x·Wᵀ</c>, with 1/s folded into a norm or into the rows of the linear that makes the channels.
/// </summary>
/// <remarks>
/// The method chooses scales; the pipeline finds the places (<see cref="ScaleView"/>), folds, and then compresses the scaled sites one by one
/// with <see cref="ILinearMethod.Apply"/>, on statistics of the scaled inputs.
/// </remarks>
public interface IScalingMethod : ILinearMethod
{
    /// <summary>Calibration windows, the first ones, whose inputs <see cref="ScaleView"/> holds; fewer where there are fewer.</summary>
    int SearchWindows { get; }

    /// <summary>How often <see cref="ScaleView.Error"/> is asked at each place; for plans.</summary>
    int Trials { get; }

    /// <summary>Chooses a scale for each channel.</summary>
    /// <param name="view">The sites that read the channels, as they are; borrowed.</param>
    /// <param name="log">Takes remarks for these sites.</param>
    /// <returns>Positive scales <c>[channels]</c>, f32, in the current dispose scope; null to leave the channels as they are.</returns>
    Tensor? Scales(ScaleView view, SiteLog log);
}

/// <summary>Channels that one or several sites of a block read.</summary>
/// <param name="sites">The sites; tensors borrowed.</param>
/// <param name="input">Their input on some calibration windows, <c>[windows, tokens, in]</c>, borrowed.</param>
/// <param name="heads">Where several query heads read the values of one KV head, how; null where each input is a channel of its own.</param>
/// <param name="behindNorm">True where a norm makes the channels, false where the rows of a linear do.</param>
/// <param name="output">
/// What is made of the input with other weights in the sites' place: attention's or the MLP's output where sites share the input, the
/// site's own otherwise. In the current dispose scope.
/// </param>
public sealed class ScaleView(
    IReadOnlyList<LinearView> sites, Tensor input, SharedHeads? heads, bool behindNorm, Func<Tensor, IReadOnlyList<Tensor>, Tensor> output) : IDisposable
{
    private const int WindowsAtOnce = 4;

    private List<Tensor>? originals;

    /// <summary>The sites; tensors borrowed.</summary>
    public IReadOnlyList<LinearView> Sites => sites;

    /// <summary>True where a norm makes the channels, false where the rows of a linear do.</summary>
    public bool BehindNorm => behindNorm;

    /// <summary>A number of each input <c>[in]</c> from one of each channel.</summary>
    /// <param name="channels">Borrowed <c>[channels]</c>.</param>
    /// <returns>In the current dispose scope.</returns>
    public Tensor Spread(Tensor channels) => heads?.Spread(channels) ?? channels.alias();

    /// <summary>Mean magnitude of each channel over the tokens, <c>[channels]</c>, f32, in the current dispose scope.</summary>
    public Tensor Magnitudes()
    {
        using var scope = NewDisposeScope();
        var mean = input.abs().to(ScalarType.Float32).mean([0, 1]);
        return (heads?.Mean(mean) ?? mean).MoveToOuterDisposeScope();
    }

    /// <summary>Greatest magnitude of each channel, <c>[channels]</c>, f32, in the current dispose scope.</summary>
    public Tensor Peaks()
    {
        using var scope = NewDisposeScope();
        var greatest = input.abs().to(ScalarType.Float32).amax([0, 1]);
        return (heads?.Greatest(greatest) ?? greatest).MoveToOuterDisposeScope();
    }

    /// <summary>Mean squared change of the output with other weights in the sites' place.</summary>
    /// <param name="weights">A weight for each site, f32; borrowed.</param>
    public double Error(IReadOnlyList<Tensor> weights)
    {
        var original = originals ??= Original();
        var (sum, count) = (0.0, 0L);
        ForEachPart((i, part) =>
        {
            var difference = output(part, weights).to(ScalarType.Float32) - original[i];
            sum += difference.square().sum(ScalarType.Float64).item<double>();
            count += difference.numel();
        });
        return sum / count;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in originals ?? []) tensor.Dispose();
        originals = null;
    }

    private List<Tensor> Original()
    {
        var result = new List<Tensor>();
        Tensor[] weights = [.. sites.Select(s => s.Weight)];
        ForEachPart((_, part) => result.Add(output(part, weights).to(ScalarType.Float32).DetachFromDisposeScope()));
        return result;
    }

    private void ForEachPart(Action<int, Tensor> action)
    {
        var at = 0;
        for (long first = 0; first < input.shape[0]; first += WindowsAtOnce)
        {
            using var scope = NewDisposeScope();
            using var _ = no_grad();
            action(at++, input.narrow(0, first, Math.Min(WindowsAtOnce, input.shape[0] - first)));
        }
    }
}

/// <summary>Inputs in the order of query heads, channels in that of KV heads.</summary>
/// <param name="Queries">Query heads that share a KV head.</param>
/// <param name="HeadSize">Channels of a head.</param>
public sealed record SharedHeads(int Queries, int HeadSize)
{
    /// <summary>Repeats each KV head's numbers for its query heads.</summary>
    /// <param name="channels">Borrowed <c>[KV heads · head size]</c>.</param>
    /// <returns><c>[query heads · head size]</c>, in the current dispose scope.</returns>
    public Tensor Spread(Tensor channels)
    {
        using var scope = NewDisposeScope();
        return channels.view(-1, 1, HeadSize).expand(-1, Queries, HeadSize).reshape(-1).MoveToOuterDisposeScope();
    }

    internal Tensor Mean(Tensor inputs) => inputs.view(-1, Queries, HeadSize).mean([1]).reshape(-1);

    internal Tensor Greatest(Tensor inputs) => inputs.view(-1, Queries, HeadSize).amax([1]).reshape(-1);
}
