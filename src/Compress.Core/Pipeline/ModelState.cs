using System.Text.Json.Nodes;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;

namespace Compress.Core.Pipeline;

/// <summary>The model between two stages; borrows its tensors.</summary>
/// <param name="Spec">What the model is: a stage may have changed its shape.</param>
/// <param name="Config">Its <c>config.json</c>.</param>
/// <param name="Tensors">Its checkpoint.</param>
internal sealed record ModelState(ModelSpec Spec, JsonObject Config, ITensorSource Tensors)
{
    /// <summary>The model that a run starts from.</summary>
    public static ModelState Of(ModelFolder model) =>
        new(model.Spec, JsonNode.Parse(model.Config.GetRawText())!.AsObject(), model.Tensors);

    /// <summary>The checkpoint as the last stage left it, with its encodings; null before the first stage.</summary>
    public StageCheckpoint? Stages => Tensors as StageCheckpoint;
}
