using Compress.Formats.Architectures;

namespace Compress.Runtime.Model;

/// <summary>A checkpoint as the engine reads it: weights by the names that the <see cref="ModelSpec"/> uses.</summary>
internal interface IWeights : IDisposable
{
    /// <summary>The model's description.</summary>
    ModelSpec Spec { get; }

    /// <summary>True where query and key heads pair dimensions (2i, 2i+1) for rotation, as GGUF's llama layout does.</summary>
    bool InterleavedRotary { get; }

    /// <summary>A weight matrix; owned by the caller, valid while this source is open.</summary>
    WeightMatrix Matrix(string tensor, int rows, int columns);

    /// <summary>A small tensor as floats.</summary>
    float[] Vector(string tensor, int length);
}
