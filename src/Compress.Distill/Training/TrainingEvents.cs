using Compress.Core.Progress;

namespace Compress.Distill.Training;

/// <summary>One optimiser step ended.</summary>
/// <param name="Step">Steps done, this one included.</param>
/// <param name="TotalSteps">Steps of the whole run.</param>
/// <param name="Loss">Mean next-token loss of this step's batch, nats a token.</param>
/// <param name="SmoothedLoss">Running mean of the loss over about the last 50 steps.</param>
/// <param name="LearningRate">Learning rate of this step.</param>
/// <param name="GradientNorm">Norm of the whole gradient before clipping.</param>
/// <param name="TokensPerSecond">Rate since the run (or its resumption) began.</param>
/// <param name="Remaining">Time left at that rate.</param>
public sealed record TrainingStep(
    int Step, int TotalSteps, double Loss, double SmoothedLoss, double LearningRate, double GradientNorm,
    double TokensPerSecond, TimeSpan Remaining) : RunEvent;
