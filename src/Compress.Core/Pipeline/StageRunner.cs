using Compress.Core.Methods;

namespace Compress.Core.Pipeline;

/// <summary>Runs a stage in the way that its method's kind needs.</summary>
internal static class StageRunner
{
    /// <summary>Runs a stage, or what is left of it, and asserts its invariants.</summary>
    /// <returns>The model behind the stage; its tensors are the caller's to dispose, those of the model before it are borrowed.</returns>
    public static ModelState Run(StageJob job) => job.Stage.Method.Create(job.Stage.Options) switch
    {
        ILinearMethod linear => BlockPipeline.Run(job, linear),
        IStructuredMethod structured => StructuredPipeline.Run(job, structured),
        ITrainingMethod training => TrainingPipeline.Run(job, training),
        var other => throw new InvalidOperationException($"no pipeline runs {other.GetType().Name}"),
    };
}
