using Compress.Core.Graph;
using Compress.Distill.Losses;
using static TorchSharp.torch;

namespace Compress.Distill.Training;

/// <summary>A loss over one pair of blocks, with the projection that it learns where widths differ.</summary>
internal sealed class BlockTerm : IDisposable
{
    private readonly IBlockLoss loss;
    private readonly double weight;
    private readonly Tensor? projection;

    private BlockTerm(IBlockLoss loss, double weight, int student, int teacher, (int Student, int Teacher) widths)
    {
        this.loss = loss;
        this.weight = weight;
        (Student, Teacher) = (student, teacher);
        if (!loss.Projects || widths.Student == widths.Teacher) return;
        // The teacher's first directions are the student's: a start that neither mixes nor scales.
        projection = eye(widths.Teacher, widths.Student, float32).DetachFromDisposeScope();
        projection.requires_grad = true;
        Parameters = [new TrainableParameter(FormattableString.Invariant($"projection.{student}.{teacher}"), projection, false)];
    }

    /// <summary>The student's block.</summary>
    public int Student { get; }

    /// <summary>The teacher's block.</summary>
    public int Teacher { get; }

    /// <summary>What is learned for the comparison alone.</summary>
    public IReadOnlyList<TrainableParameter> Parameters { get; } = [];

    /// <summary>The terms of a loss: one for each pair of blocks, weighted so that their number does not count.</summary>
    public static IEnumerable<BlockTerm> Of(IBlockLoss loss, ModelGraph student, ModelGraph teacher)
    {
        var pairs = loss.Pairs(student.Blocks.Count, teacher.Blocks.Count);
        var weight = ((DistillationLoss)loss).Weight / pairs.Count;
        var widths = (student.Spec.HiddenSize, teacher.Spec.HiddenSize);
        return pairs.Select(p => new BlockTerm(loss, weight, p.Student, p.Teacher, widths));
    }

    /// <summary>What the loss compares of a block.</summary>
    public IReadOnlyList<Tensor> Features(Block block, Tensor? attentionInput, Tensor output) => loss.Features(block, attentionInput, output);

    /// <summary>The weighted loss, in the current dispose scope.</summary>
    public Tensor Loss(IReadOnlyList<Tensor> student, IReadOnlyList<Tensor> teacher) => loss.Compare(student, teacher, projection) * weight;

    /// <inheritdoc/>
    public void Dispose() => projection?.Dispose();
}
