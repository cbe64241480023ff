using static TorchSharp.torch;

namespace Compress.Core.Statistics;

/// <summary>
/// Second moment of a site's inputs, <c>H = 2/n · Σ XᵀX</c> over all calibration tokens, n = sequences: the Hessian of the layer's
/// squared output error with respect to one row of its weight.
/// </summary>
/// <remarks>
/// <para>Frantar et al. 2022, arXiv:2210.17323, section 3; running form as in the published code. H is symmetric, so only panels on and
/// right of the diagonal are computed: half the work. Sums are f32; scaling by 2/n happens once, on reading.</para>
/// <para>bf16 inputs are widened to f32, which is exact. A bf16 product would be up to four times faster, but libtorch rounds its
/// result to bf16: an error of 0.2 % in each element, which outweighs the usual damping of 1 % of the mean diagonal wherever the
/// largest eigenvalue is more than a few times the mean, and makes H indefinite.</para>
/// </remarks>
public sealed class Hessian : Statistic
{
    private const int PanelRows = 512;
    private const int TokensPerChunk = 2048;

    private readonly Tensor sum;
    private readonly int features;
    private long sequences;

    /// <summary>An empty statistic.</summary>
    /// <param name="features">Input features; the statistic takes 4·features² bytes.</param>
    /// <param name="device">Where inputs will lie.</param>
    public Hessian(int features, Device device)
    {
        this.features = features;
        sum = zeros(features, features, ScalarType.Float32, device).DetachFromDisposeScope();
    }

    /// <inheritdoc/>
    public override void Accumulate(Tensor x, int sequences)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sequences);
        using var scope = NewDisposeScope();
        using var ignored = no_grad();
        foreach (var chunk in x.split(TokensPerChunk, 0))
        {
            var f32 = chunk.to(ScalarType.Float32);
            for (var from = 0; from < features; from += PanelRows)
            {
                var rows = Math.Min(PanelRows, features - from);
                using var left = f32.narrow(1, from, rows);
                using var leftT = left.t();
                using var right = f32.narrow(1, from, features - from);
                using var panelRows = sum.narrow(0, from, rows);
                using var panel = panelRows.narrow(1, from, features - from);
                panel.addmm_(leftT, right, 1, 1);
            }
        }
        this.sequences += sequences;
    }

    /// <summary>The Hessian.</summary>
    /// <returns>Owned symmetric f32 matrix <c>[in, in]</c>; zeros before the first batch.</returns>
    public Tensor ToMatrix()
    {
        using var ignored = no_grad();
        var result = sum.mul(2.0 / Math.Max(1, sequences));
        for (var from = 0; from < features; from += PanelRows)
        {
            var rows = Math.Min(PanelRows, features - from);
            using var panelRows = result.narrow(0, from, rows);
            using var corner = panelRows.narrow(1, from, rows);
            using var upper = corner.triu();
            using var strict = upper.triu(1);
            using var lower = strict.t();
            using var whole = upper.add(lower);
            corner.copy_(whole);
            if (from + rows == features) break;
            using var right = panelRows.narrow(1, from + rows, features - from - rows);
            using var below = result.narrow(0, from + rows, features - from - rows);
            using var target = below.narrow(1, from, rows);
            using var mirrored = right.t();
            target.copy_(mirrored);
        }
        return result;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) sum.Dispose();
    }
}
