using Compress.Core.Methods;
using Compress.Formats.Checkpoints;
using Compress.Formats.Encodings;

namespace Compress.Quant.Grids;

/// <summary>Whose formula fits scale and zero point to a range of weights. <c>maxq = 2^bits − 1</c>, <c>m = max |w|</c>.</summary>
public enum AffineFlavour
{
    /// <summary>
    /// GPTQ's code. The range includes 0: <c>scale = (max − min)/maxq</c>, <c>zero = round(−min/scale)</c>; symmetric:
    /// <c>scale = 2m/maxq</c>, <c>zero = 2^(bits−1)</c>. (Published code halves the range of a group without negative weights and then
    /// clips it; here such a group is treated like any other.)
    /// </summary>
    Gptq,

    /// <summary>Signed integers, symmetric only: <c>scale = m/(2^(bits−1) − 1)</c>.</summary>
    Absmax,

    /// <summary>
    /// compressed-tensors: symmetric <c>scale = m/(maxq/2)</c>; asymmetric like GPTQ's. A zero scale becomes the type's epsilon.
    /// </summary>
    CompressedTensors,

    /// <summary>
    /// AWQ, asymmetric only; the range need not include 0: <c>scale = max(max − min, 10⁻⁵)/maxq</c>, <c>zero =
    /// clamp(−round(min/scale), 0, maxq)</c>.
    /// </summary>
    Awq,
}

/// <summary>How scales are stored. Codes are computed with the scale as stored, so that decoding repeats no rounding.</summary>
public enum ScaleType
{
    /// <summary>IEEE half.</summary>
    F16,

    /// <summary>bfloat16.</summary>
    BF16,

    /// <summary>IEEE single.</summary>
    F32,
}

/// <summary>
/// Integer codes with a scale and zero point for each group of a row's inputs: the settings that every such method shares.
/// </summary>
public record AffineOptions
{
    /// <summary>Bits of a code.</summary>
    [Between(2, 8)]
    public int Bits { get; init; } = 4;

    /// <summary>Inputs that share a scale, the last group being short where it does not divide the width; −1 for the whole row.</summary>
    [Between(-1, 1_048_576)]
    public int GroupSize { get; init; } = 128;

    /// <summary>True: the zero point is the middle code. False: it is fitted.</summary>
    public bool Symmetric { get; init; }

    /// <summary>Whose formula fits scale and zero point.</summary>
    public AffineFlavour Flavour { get; init; } = AffineFlavour.Gptq;

    /// <summary>
    /// Shrinks each range in 80 steps of 1 % to the one with the least <c>Σ|w − w'|^2.4</c>, as GPTQ's code does on request.
    /// </summary>
    public bool Mse { get; init; }

    /// <summary>How scales are stored.</summary>
    public ScaleType ScaleType { get; init; } = ScaleType.F16;

    /// <summary>Columns of a group at a site.</summary>
    /// <param name="inFeatures">The site's columns.</param>
    internal int GroupColumns(int inFeatures) => GroupSize == -1 ? inFeatures : GroupSize;

    /// <summary>The storage type of scales by the name of the safetensors format.</summary>
    internal ElementType StoredScale => ScaleType switch
    {
        ScaleType.F16 => ElementType.F16,
        ScaleType.BF16 => ElementType.BF16,
        _ => ElementType.F32,
    };

    /// <summary>What a site will look like.</summary>
    /// <param name="site">The site.</param>
    /// <param name="permuted">True where groups of columns follow an order of their own.</param>
    internal SiteOutlook Outlook(SiteShape site, bool permuted = false)
    {
        var oneGroup = GroupColumns(site.InFeatures) >= site.InFeatures;
        return new SiteOutlook(Encoding: new QuantizationScheme(Bits, oneGroup ? null : GroupSize, Symmetric, permuted && !oneGroup, StoredScale));
    }

    /// <summary>What does not fit, with the remedy; null where all is well.</summary>
    internal string? Unfit(SiteShape site)
    {
        if ((long)site.OutFeatures * site.InFeatures > Array.MaxLength)
            return "a matrix of more than 2^31 weights cannot be held in one array of codes: ignore the site.";
        if (GroupSize == 0) return "group_size is 0: give the number of inputs that share a scale, or -1 for the whole row.";
        return Flavour switch
        {
            AffineFlavour.Absmax when !Symmetric => "flavour absmax is symmetric: add symmetric: true.",
            AffineFlavour.Awq when Symmetric => "flavour awq is asymmetric: remove symmetric: true.",
            _ => null,
        };
    }
}
