using Compress.Core.Graph;
using static TorchSharp.torch;

namespace Compress.Distill.Losses;

/// <summary>A loss that compares what blocks of the student compute with what blocks of the teacher do.</summary>
internal interface IBlockLoss
{
    /// <summary>Which blocks are compared.</summary>
    /// <param name="student">Number of the student's blocks.</param>
    /// <param name="teacher">Number of the teacher's blocks.</param>
    IReadOnlyList<(int Student, int Teacher)> Pairs(int student, int teacher);

    /// <summary>What of a block is compared, taken in a forward pass.</summary>
    /// <param name="block">The block.</param>
    /// <param name="attentionInput">Normalised input of its attention; null where the block has none.</param>
    /// <param name="output">The block's output <c>[batch, time, hidden]</c>.</param>
    /// <returns>Tensors in the current dispose scope, part of the graph of gradients.</returns>
    IReadOnlyList<Tensor> Features(Block block, Tensor? attentionInput, Tensor output);

    /// <summary>The loss of a pair of blocks, averaged over positions.</summary>
    /// <param name="student">The student's features.</param>
    /// <param name="teacher">The teacher's, without gradient.</param>
    /// <param name="projection">Maps the student's hidden states to the teacher's width; null where they agree.</param>
    /// <returns>Scalar, in the current dispose scope.</returns>
    Tensor Compare(IReadOnlyList<Tensor> student, IReadOnlyList<Tensor> teacher, Tensor? projection);

    /// <summary>Whether a student of another width needs a learned projection.</summary>
    bool Projects { get; }
}

/// <summary>Which blocks of student and teacher are compared.</summary>
public enum LayerMap
{
    /// <summary>The last with the last.</summary>
    Last,

    /// <summary>Every block of the student with the teacher's at the same share of the depth.</summary>
    Uniform,
}

/// <summary>Pairs of blocks.</summary>
internal static class LayerPairs
{
    public static IReadOnlyList<(int Student, int Teacher)> Of(LayerMap map, int student, int teacher) => map switch
    {
        LayerMap.Last => [(student - 1, teacher - 1)],
        // Ends are compared at ends: block i of n has seen (i + 1) / n of the depth.
        _ => [.. Enumerable.Range(0, student).Select(i => (i, (int)Math.Round((i + 1.0) * teacher / student) - 1))],
    };
}
