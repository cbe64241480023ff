using Compress.Core.Graph;
using Compress.Core.Pipeline;
using Compress.Core.Statistics;
using Compress.Formats.Architectures;
using Compress.Formats.Encodings;
using TorchSharp;

namespace Compress.Core.Methods;

/// <summary>A method that trains the model as a whole: distillation, fine-tuning.</summary>
/// <remarks>A method trains a graph in place; the pipeline loads, writes, journals and checks.</remarks>
public interface ITrainingMethod : IMethod
{
    /// <inheritdoc/>
    Needs IMethod.Needs => Needs.Nothing;

    /// <summary>Tokens that go through the model, forward and backward.</summary>
    /// <param name="model">The model that is trained.</param>
    long Tokens(ModelSpec model);

    /// <summary>Type of its matrix products.</summary>
    torch.ScalarType Arithmetic { get; }

    /// <summary>Checks the options against a model before any weight is read.</summary>
    /// <returns>What does not fit, with the remedy; null where all is well.</returns>
    string? Unfit(ModelSpec model) => null;

    /// <summary>Whether training changes the weight of a site.</summary>
    /// <param name="site">The site.</param>
    /// <param name="selected">Whether the stage's targets select it.</param>
    bool Changes(SelectableSite site, bool selected);

    /// <summary>Trains the student. The same study gives the same weights, interrupted or not.</summary>
    /// <param name="study">The student and what it is trained with.</param>
    TrainedModel Train(TrainingStudy study);
}

/// <summary>What training changed.</summary>
/// <param name="Parameters">Names of the <see cref="ModelGraph.NamedParameters"/> that were trained.</param>
/// <param name="Encoded">Those of them that are stored encoded, by site name; the student holds exactly what these decode to.</param>
public sealed record TrainedModel(IReadOnlySet<string> Parameters, IReadOnlyDictionary<string, EncodedWeight> Encoded);
