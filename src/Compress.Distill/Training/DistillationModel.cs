using Compress.Core.Graph;
using Compress.Distill.Losses;
using Compress.Distill.Weights;
using static TorchSharp.torch;

namespace Compress.Distill.Training;

/// <summary>A student that is trained towards a teacher on the same tokens.</summary>
internal sealed class DistillationModel : ITrainableModel, IDisposable
{
    private readonly ModelGraph student;
    private readonly ModelGraph? teacher;
    private readonly IReadOnlyList<IWeightMap> weights;
    private readonly LogitLosses? logits;
    private readonly List<BlockTerm> blocks;

    /// <param name="student">The student, borrowed.</param>
    /// <param name="teacher">The teacher, borrowed; null where no loss asks for one.</param>
    /// <param name="weights">What of the student is trained; owned from here on.</param>
    /// <param name="losses">The terms of the loss.</param>
    public DistillationModel(
        ModelGraph student, ModelGraph? teacher, IReadOnlyList<IWeightMap> weights, IReadOnlyList<DistillationLoss> losses)
    {
        this.student = student;
        this.teacher = teacher;
        this.weights = weights;
        logits = LogitLosses.Of(losses);
        blocks = [.. losses.OfType<IBlockLoss>().SelectMany(loss => BlockTerm.Of(loss, student, teacher!))];
        Parameters = [.. weights.SelectMany(w => w.Parameters), .. blocks.SelectMany(b => b.Parameters)];
    }

    /// <inheritdoc/>
    public IReadOnlyList<TrainableParameter> Parameters { get; }

    /// <inheritdoc/>
    public Device Device => student.Embedding.Tokens.device;

    /// <inheritdoc/>
    public double Backward(Tensor tokens, double scale)
    {
        using var scope = NewDisposeScope();
        var length = tokens.shape[1] - 1;
        var (ids, targets) = (tokens.narrow(1, 0, length), tokens.narrow(1, 1, length));
        using var wanted = new BlockFeatures(teacher, blocks.Select(b => (b.Teacher, b)));
        var teacherHidden = TeacherHidden(ids, wanted);
        using var mine = new BlockFeatures(student, blocks.Select(b => (b.Student, b)));
        var hidden = student.Hidden(ids, mine);
        var loss = logits is null ? zeros([], float32, Device) : student.Head.Loss(hidden, targets, logits, TeacherLogits(teacherHidden));
        foreach (var term in blocks) loss = loss + term.Loss(mine.Of(term), wanted.Of(term));
        (loss * scale).backward();
        foreach (var weight in weights) weight.PullBack();
        return loss.item<float>();
    }

    /// <inheritdoc/>
    public void WeightsChanged()
    {
        foreach (var weight in weights) weight.Update();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var weight in weights) weight.Dispose();
        foreach (var term in blocks) term.Dispose();
    }

    private Tensor? TeacherHidden(Tensor ids, BlockFeatures features)
    {
        if (teacher is null) return null;
        using var _ = no_grad();
        return teacher.Hidden(ids, features).flatten(0, -2);
    }

    private Func<long, long, Tensor>? TeacherLogits(Tensor? hidden) => logits!.ComparesWithTeacher
        ? (first, count) => teacher!.Head.Forward(hidden!.narrow(0, first, count))
        : null;
}
