using Compress.Core.Graph;
using Compress.Core.Methods;
using static TorchSharp.torch;

namespace Compress.Distill.Losses;

/// <summary>
/// Self-attention relations: with the queries, keys and values X of a block re-split into A relation heads of size d,
/// <c>R = softmax(X Xᵀ / √d)</c>, and the loss is the mean of <c>KL(R_teacher ‖ R_student)</c> over heads and positions, summed over queries,
/// keys and values with equal weight. Widths and numbers of heads may differ.
/// </summary>
/// <remarks>
/// Wang et al. 2021 (MiniLMv2), arXiv:2012.15828, section 3. The models here are causal, so a position relates to itself and those before it;
/// queries and keys are taken before rotation.
/// </remarks>
public sealed record Relations : DistillationLoss, IBlockLoss
{
    /// <summary>Relation heads A; divides the widths of queries, keys and values of both models. Default: their greatest common divisor, at most 48.</summary>
    [Between(1, 4096)]
    public int? Heads { get; init; }

    /// <summary>Which blocks are compared.</summary>
    public LayerMap Layers { get; init; } = LayerMap.Last;

    bool IBlockLoss.Projects => false;

    IReadOnlyList<(int Student, int Teacher)> IBlockLoss.Pairs(int student, int teacher) => LayerPairs.Of(Layers, student, teacher);

    IReadOnlyList<Tensor> IBlockLoss.Features(Block block, Tensor? attentionInput, Tensor output) => attentionInput is null
        ? []
        : [.. block.Sites.Where(s => s.Role is SiteRole.Query or SiteRole.Key or SiteRole.Value).Select(s => s.Forward(attentionInput))];

    Tensor IBlockLoss.Compare(IReadOnlyList<Tensor> student, IReadOnlyList<Tensor> teacher, Tensor? projection)
    {
        // A block without attention relates nothing.
        if (student.Count == 0 || teacher.Count == 0) return zeros([], ScalarType.Float32);
        var heads = Heads ?? DefaultHeads(student.Concat(teacher).Select(t => t.shape[^1]));
        return student.Zip(teacher).Select(pair => Divergence(pair.First, pair.Second, heads)).Aggregate((a, b) => a + b);
    }

    /// <summary>What does not fit; null where all is well.</summary>
    internal string? Unfit(IEnumerable<int> widths) => Heads is { } heads && widths.FirstOrDefault(w => w % heads != 0) is > 0 and var width
        ? FormattableString.Invariant($"relations: {heads} heads do not divide a width of {width}; leave heads out or choose a divisor")
        : null;

    private static int DefaultHeads(IEnumerable<long> widths)
    {
        const int Most = 48;
        var common = (int)widths.Aggregate((a, b) => (long)System.Numerics.BigInteger.GreatestCommonDivisor(a, b));
        // A relation head of size one would relate signs only.
        return Enumerable.Range(1, Math.Max(1, Math.Min(Most, common / 8))).Last(h => common % h == 0);
    }

    private static Tensor Divergence(Tensor student, Tensor teacher, int heads)
    {
        var (logS, logT) = (LogRelations(student, heads), LogRelations(teacher, heads));
        return (logT.exp() * (logT - logS)).sum(dim: -1).mean();
    }

    private static Tensor LogRelations(Tensor x, int heads)
    {
        var (batch, time, size) = (x.shape[0], x.shape[1], x.shape[2] / heads);
        var wide = x.dtype == ScalarType.BFloat16 ? x.to(ScalarType.Float32) : x;
        var split = wide.view(batch, time, heads, size).transpose(1, 2);
        var scores = split.matmul(split.transpose(2, 3)) / Math.Sqrt(size);
        var future = ones([time, time], ScalarType.Bool, x.device).triu(1);
        // Finite, so that the logarithms of what nobody sees can be subtracted.
        return scores.masked_fill(future, -1e9).log_softmax(-1);
    }
}
