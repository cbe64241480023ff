using Compress.Formats;
using Compress.Formats.Checkpoints;

namespace Compress.Core.Evaluation;

/// <summary>What computes an evaluation's logits.</summary>
public enum EvaluationEngine
{
    /// <summary>libtorch, block by block: any depth in the memory of a block, weights decoded to f32.</summary>
    Torch,

    /// <summary>The engine in C#, as it generates: weights multiplied as they are stored, whole model mapped.</summary>
    Runtime,
}

/// <summary>Which engine measures a model where nobody says.</summary>
public static class DefaultEngine
{
    /// <summary>The engine in C# for GGUF files and quantized folders, because users will run them with it; torch for the rest.</summary>
    /// <param name="path">Model file or folder.</param>
    /// <exception cref="ModelFileException">The folder's model cannot be read.</exception>
    public static EvaluationEngine Of(string path)
    {
        if (path.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase)) return EvaluationEngine.Runtime;
        using var model = ModelFolder.Open(path);
        return model.QuantizationConfig is not null || model.Config.TryGetProperty("quantization_config", out _)
            ? EvaluationEngine.Runtime
            : EvaluationEngine.Torch;
    }
}
