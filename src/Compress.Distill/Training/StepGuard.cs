using Compress.Formats;

namespace Compress.Distill.Training;

/// <summary>Decides whether a step's gradient may be used: a non-finite or exploding one is dropped, many in a row end the run.</summary>
/// <remarks>The state is part of the checkpoint, so that a resumed run decides alike.</remarks>
public sealed class StepGuard
{
    /// <summary>Dropped steps in a row after which training has failed.</summary>
    const int MostDroppedInARow = 20;

    /// <summary>A loss this far above the running mean, in nats, is a spike: about the gap between a trained and an untrained model.</summary>
    const double SpikeNats = 2;

    const double Smoothing = 0.02;

    /// <summary>Running mean of accepted losses; null before the first.</summary>
    public double? SmoothedLoss { get; set; }

    /// <summary>Steps dropped since the last accepted one.</summary>
    public int DroppedInARow { get; set; }

    /// <summary>True where the step may be taken.</summary>
    /// <param name="step">Step, counted from 0, for the message.</param>
    /// <param name="loss">Mean loss of the batch.</param>
    /// <param name="gradientNorm">Norm of the whole gradient.</param>
    /// <exception cref="TrainingDivergedException">Too many steps in a row had to be dropped.</exception>
    public bool Accepts(int step, double loss, double gradientNorm)
    {
        var sound = double.IsFinite(loss) && double.IsFinite(gradientNorm) && !(loss > SmoothedLoss + SpikeNats);
        if (sound)
        {
            DroppedInARow = 0;
            SmoothedLoss = SmoothedLoss is { } mean ? mean + Smoothing * (loss - mean) : loss;
            return true;
        }
        if (++DroppedInARow >= MostDroppedInARow) throw new TrainingDivergedException(step, loss, gradientNorm);
        return false;
    }
}

/// <summary>The loss is not finite, or far above its running mean, for many steps in a row.</summary>
/// <param name="step">Step at which training was given up, counted from 0.</param>
/// <param name="loss">Loss of that step.</param>
/// <param name="gradientNorm">Gradient norm of that step.</param>
public sealed class TrainingDivergedException(int step, double loss, double gradientNorm) : CompressException(
    FormattableString.Invariant($"Training diverged: at step {step} the loss is {loss:G4} and the gradient norm {gradientNorm:G4}, ")
    + "and no step before it was usable for a while. Lower learning_rate or lengthen warmup_steps; the last checkpoint is intact.");
