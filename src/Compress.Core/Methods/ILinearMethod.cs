using Compress.Core.Graph;
using Compress.Core.Statistics;
using Compress.Formats.Encodings;
using TorchSharp;

namespace Compress.Core.Methods;

/// <summary>A method that works on one linear site at a time (magnitude, Wanda, SparseGPT, RTN, GPTQ, …).</summary>
/// <remarks>A method computes; it loads, logs, loops over blocks and stores nothing. It borrows tensors and returns owned ones.</remarks>
public interface ILinearMethod : IMethod
{
    /// <summary>
    /// True: the sites of a block are compressed in the order (q,k,v), o, (gate,up), down, with fresh statistics each time.
    /// False: all sites of a block see the statistics of the uncompressed block.
    /// </summary>
    bool TrueSequential => false;

    /// <summary>Checks the options against a site's shape before any weight is read.</summary>
    /// <returns>What does not fit, with the remedy; null where all is well.</returns>
    string? Unfit(SiteShape site) => null;

    /// <summary>What a site will look like, for plans and size estimates; from headers alone.</summary>
    SiteOutlook Outlook(SiteShape site) => new();

    /// <summary>Compresses one site.</summary>
    /// <param name="site">The site; its tensors are borrowed.</param>
    /// <param name="statistics">What <see cref="IMethod.Needs"/> asked for.</param>
    /// <param name="log">Takes numerical trouble and errors as data.</param>
    LinearResult Apply(LinearView site, StatisticsSet statistics, SiteLog log);
}

/// <summary>A linear method that may have to see every selected weight before it compresses the first (global thresholds).</summary>
/// <remarks><c>while (method.BeginSurvey()) foreach (site) method.Survey(site);</c> before the first <see cref="ILinearMethod.Apply"/>.</remarks>
public interface ISurveyingMethod : ILinearMethod
{
    /// <summary>Called before each pass over the sites.</summary>
    /// <returns>True where the method wants a pass; false where it has seen enough.</returns>
    bool BeginSurvey();

    /// <summary>Called for every selected site, in order, in each pass. A resumed run repeats it with the same weights.</summary>
    void Survey(LinearView site);
}

/// <summary>A site's name, role and shape, known from headers alone.</summary>
/// <param name="Name">Site name.</param>
/// <param name="Role">What the site is for.</param>
/// <param name="OutFeatures">Rows.</param>
/// <param name="InFeatures">Columns.</param>
public readonly record struct SiteShape(string Name, SiteRole Role, int OutFeatures, int InFeatures);

/// <summary>What a method is going to make of a site.</summary>
/// <param name="Sparsity">Share of zeros, or null where the method sets none or it depends on the weights.</param>
/// <param name="Encoding">How the weight is quantized in groups of integers, or null where it is not.</param>
/// <param name="Codebook">How the weight is quantized with a table for each row, or null where it is not.</param>
public readonly record struct SiteOutlook(double? Sparsity = null, QuantizationScheme? Encoding = null, CodebookScheme? Codebook = null)
{
    /// <summary>Bits of a code; null where the weight is not quantized.</summary>
    public int? Bits => Encoding?.Bits ?? Codebook?.Bits;
}

/// <summary>A site as a method sees it.</summary>
/// <param name="Name">Site name.</param>
/// <param name="Role">What the site is for.</param>
/// <param name="Weight">Borrowed weight, f32, contiguous, <c>[out, in]</c>.</param>
/// <param name="Mask">Borrowed bool mask, true = keep, from an earlier stage whose sparsity must stay; null where none.</param>
/// <param name="Seed">Seed derived from the recipe's seed, the stage and the site name.</param>
public sealed record LinearView(string Name, SiteRole Role, torch.Tensor Weight, torch.Tensor? Mask, int Seed);

/// <summary>What a method made of a site; owns its tensor.</summary>
/// <param name="Weight">New weight, f32, <c>[out, in]</c>, exactly what <paramref name="Encoded"/> decodes to where that is set.</param>
/// <param name="Encoded">How the weight is stored, where the method quantizes.</param>
public sealed record LinearResult(torch.Tensor Weight, EncodedWeight? Encoded = null) : IDisposable
{
    /// <summary>The encoding where it is one of integer codes in groups, null for others.</summary>
    public GroupQuantizedWeight? Quantized => Encoded as GroupQuantizedWeight;

    /// <inheritdoc/>
    public void Dispose() => Weight.Dispose();
}
