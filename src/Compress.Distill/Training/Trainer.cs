using System.Diagnostics;
using System.Globalization;
using Compress.Core.Progress;
using Compress.Formats;
using static TorchSharp.torch;

namespace Compress.Distill.Training;

/// <summary>The training loop: batches, gradients, clipping, AdamW, log and checkpoints; continues exactly where it was killed.</summary>
/// <remarks>
/// The run's folder gets <c>log.jsonl</c> (one line a step) and <c>checkpoint.bin</c>. A run continued from its checkpoint takes
/// the same steps, to the bit, as one that was never interrupted, given the same machine and thread count.
/// </remarks>
public sealed class Trainer : IDisposable
{
    readonly ITrainableModel model;
    readonly TokenWindows windows;
    readonly OptimizationRecipe options;
    readonly string fingerprint, folder;
    readonly CosineSchedule schedule;
    readonly StepGuard guard = new();

    /// <summary>Prepares a run, restoring the checkpoint in its folder where there is one.</summary>
    /// <param name="model">The model; its weights are changed.</param>
    /// <param name="windows">Training windows.</param>
    /// <param name="options">How to optimise.</param>
    /// <param name="fingerprint">Identifies recipe and data; a checkpoint of another fingerprint is refused.</param>
    /// <param name="folder">Folder of log and checkpoint; made where absent.</param>
    /// <exception cref="ModelFileException">The checkpoint is damaged or belongs to another run.</exception>
    public Trainer(ITrainableModel model, TokenWindows windows, OptimizationRecipe options, string fingerprint, string folder)
    {
        (this.model, this.windows, this.options, this.fingerprint, this.folder) = (model, windows, options, fingerprint, folder);
        schedule = new CosineSchedule(options.LearningRate, options.WarmupSteps, options.Steps, options.FinalRateShare);
        Directory.CreateDirectory(folder);
        Optimizer = new AdamW(model.Parameters, options);
        if (TrainingCheckpoint.TryRestore(CheckpointPath, fingerprint, Optimizer) is not { } position) return;
        model.WeightsChanged();
        Step = position.Step;
        guard.SmoothedLoss = position.SmoothedLoss;
        guard.DroppedInARow = position.DroppedInARow;
    }

    /// <summary>The optimiser, which holds the f32 masters.</summary>
    public AdamW Optimizer { get; }

    /// <summary>Steps seen so far, dropped ones included.</summary>
    public int Step { get; private set; }

    /// <summary>Running mean of the loss, nats a token; null before the first step.</summary>
    public double? SmoothedLoss => guard.SmoothedLoss;

    string CheckpointPath => Path.Combine(folder, "checkpoint.bin");

    /// <summary>Trains up to a step, leaving a checkpoint there.</summary>
    /// <param name="until">Steps to have seen at the end; at most the recipe's.</param>
    /// <param name="progress">Listener.</param>
    /// <param name="cancellation">Stops after the current step, leaving a checkpoint.</param>
    /// <exception cref="TrainingDivergedException">The loss stayed unusable.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; the checkpoint is written.</exception>
    /// <param name="title">What progress calls the work.</param>
    public void Run(int until, IProgress<RunEvent>? progress, CancellationToken cancellation, string title = "training")
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(until, options.Steps);
        using var log = new TrainingLog(Path.Combine(folder, "log.jsonl"), keep: Step);
        var clock = Stopwatch.StartNew();
        var first = Step;
        progress?.Report(new PhaseStarted(title, options.Steps, "steps"));
        while (Step < until && !cancellation.IsCancellationRequested)
        {
            var line = TakeStep(progress);
            log.Write(line);
            Report(progress, line, (Step - first) / clock.Elapsed.TotalSeconds);
            if (Step % options.CheckpointEvery == 0 && Step < until) Save();
        }
        Save();
        cancellation.ThrowIfCancellationRequested();
        progress?.Report(new PhaseEnded(FormattableString.Invariant($"loss {SmoothedLoss:F4} after {Step} steps")));
    }

    /// <summary>Frees the optimiser's state; the model stays.</summary>
    public void Dispose() => Optimizer.Dispose();

    TrainingLogLine TakeStep(IProgress<RunEvent>? progress)
    {
        var loss = Gradients();
        var norm = Optimizer.GradientNorm();
        var rate = schedule.RateAt(Step);
        var taken = guard.Accepts(Step, loss, norm);
        if (taken)
        {
            Optimizer.Step(rate, options.ClipNorm > 0 && norm > options.ClipNorm ? options.ClipNorm / norm : 1);
            model.WeightsChanged();
        }
        else
        {
            Optimizer.ClearGradients();
            progress?.Report(new Warning(FormattableString.Invariant(
                $"Step {Step + 1} was dropped: its loss is {loss:G4} and its gradient norm {norm:G4}.")));
        }
        Step++;
        return new TrainingLogLine(Step, loss, rate, norm, taken);
    }

    double Gradients()
    {
        var size = options.MicroBatchSize ?? options.BatchSize;
        var passes = options.BatchSize / size;
        var loss = 0.0;
        for (var pass = 0; pass < passes; pass++)
        {
            using var scope = NewDisposeScope();
            var tokens = windows.Batch((long)Step * options.BatchSize + pass * size, size, model.Device);
            loss += model.Backward(tokens, 1.0 / passes) / passes;
            Optimizer.CollectGradients();
        }
        return loss;
    }

    void Report(IProgress<RunEvent>? progress, TrainingLogLine line, double stepsPerSecond)
    {
        if (progress is null) return;
        var tokensPerSecond = stepsPerSecond * options.BatchSize * windows.Length;
        var remaining = TimeSpan.FromSeconds((options.Steps - Step) / stepsPerSecond);
        progress.Report(new TrainingStep(Step, options.Steps, line.Loss, SmoothedLoss ?? line.Loss, line.LearningRate, line.GradientNorm,
            tokensPerSecond, remaining));
        progress.Report(new PhaseAdvanced(Step, string.Create(CultureInfo.InvariantCulture,
            $"loss {SmoothedLoss:F3}, {tokensPerSecond:F0} tokens/s")));
    }

    void Save() => TrainingCheckpoint.Save(CheckpointPath, fingerprint, Optimizer,
        new TrainingPosition(Step, Optimizer.Steps, guard.SmoothedLoss, guard.DroppedInARow));
}
