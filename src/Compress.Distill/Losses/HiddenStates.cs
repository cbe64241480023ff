using Compress.Core.Graph;
using static TorchSharp.torch;

namespace Compress.Distill.Losses;

/// <summary>How hidden states are compared.</summary>
public enum HiddenMeasure
{
    /// <summary>Squared error over the teacher's mean square: 1 is as wrong as zeros would be (Romero et al. 2015, arXiv:1412.6550).</summary>
    Mse,

    /// <summary><c>1 − cos</c> of each position (Sanh et al. 2019, arXiv:1910.01108, section 3).</summary>
    Cosine,
}

/// <summary>Distance of the hidden states behind blocks from the teacher's.</summary>
/// <remarks>
/// Where the widths differ, a projection of the student's states is learned with the student and thrown away at the end (Muralidharan et al.
/// 2024, arXiv:2407.14679, section 2.4).
/// </remarks>
public sealed record HiddenStates : DistillationLoss, IBlockLoss
{
    /// <summary>Which blocks are compared.</summary>
    public LayerMap Layers { get; init; } = LayerMap.Uniform;

    /// <summary>How they are compared.</summary>
    public HiddenMeasure Measure { get; init; } = HiddenMeasure.Mse;

    bool IBlockLoss.Projects => true;

    IReadOnlyList<(int Student, int Teacher)> IBlockLoss.Pairs(int student, int teacher) => LayerPairs.Of(Layers, student, teacher);

    IReadOnlyList<Tensor> IBlockLoss.Features(Block block, Tensor? attentionInput, Tensor output) => [output.alias()];

    Tensor IBlockLoss.Compare(IReadOnlyList<Tensor> student, IReadOnlyList<Tensor> teacher, Tensor? projection)
    {
        var (mine, wanted) = (Wide(student[0]), Wide(teacher[0]));
        if (projection is not null) mine = mine.matmul(projection.t());
        return Measure == HiddenMeasure.Mse
            ? (mine - wanted).square().mean() / wanted.square().mean()
            : 1 - nn.functional.cosine_similarity(mine, wanted, -1).mean();
    }

    private static Tensor Wide(Tensor x) => x.dtype == ScalarType.BFloat16 ? x.to(ScalarType.Float32) : x;
}
