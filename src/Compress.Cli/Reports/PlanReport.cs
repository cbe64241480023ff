using Compress.Core.Methods;
using Compress.Core.Pipeline;
using Compress.Core.Planning;
using Compress.Core.Recipes;
using Compress.Formats.Architectures;
using Compress.Formats.Checkpoints;

namespace Compress.Cli.Reports;

/// <summary>What a recipe is going to do, from headers alone.</summary>
/// <param name="Name">Name of the run.</param>
/// <param name="Model">The model.</param>
/// <param name="Family">Its family.</param>
/// <param name="Parameters">Its stored elements.</param>
/// <param name="Stages">What each stage does.</param>
/// <param name="Sites">What happens to each site.</param>
/// <param name="BytesBefore">Stored bytes of the model.</param>
/// <param name="BytesAfter">Bytes with every site in the encoding that its stages give it; dense where a site is only pruned.</param>
/// <param name="CalibrationTokens">Tokens that calibration reads.</param>
/// <param name="PeakMemory">Estimate of the most memory that stages need, libtorch itself excepted.</param>
/// <param name="ForwardOperations">Estimate of the arithmetic of calibration's forward passes.</param>
/// <param name="Time">Estimate of the run's seconds on this machine.</param>
/// <param name="Remarks">What a user may want to change.</param>
internal sealed record PlanReport(
    string Name, string Model, string Family, long Parameters, IReadOnlyList<StagePlan> Stages, IReadOnlyList<SitePlan> Sites,
    long BytesBefore, long BytesAfter, long CalibrationTokens, long PeakMemory, double ForwardOperations, RunEstimate Time,
    IReadOnlyList<string> Remarks)
{
    /// <summary>Plans a recipe that was found to fit its model.</summary>
    public static PlanReport Of(Recipe recipe, ModelFolder model)
    {
        var spec = model.Spec;
        var methods = recipe.Stages.Select(s => s.Method.Create(s.Options)).ToList();
        var selected = recipe.Stages
            .Select(s => SiteSelection.Select(spec, s).Select(site => site.Shape.Name).ToHashSet(StringComparer.Ordinal)).ToList();
        var sites = SiteSelection.All(spec)
            .Select(s => Plan(recipe, methods, selected, s, model.Tensors.Tensors[s.Spec.Weight.Tensor])).ToList();
        var bytes = model.Tensors.Tensors.Values.Sum(t => t.ByteCount);
        // A tied head and its table are one tensor: what is saved on it is saved once.
        var saved = sites.GroupBy(s => s.Tensor).Sum(g => g.Max(s => s.BytesBefore - s.BytesAfter));
        var calibrated = methods.Count(m => m.Calibrated);
        var tokens = calibrated > 0 ? Tokens(recipe, spec) : 0;
        return new PlanReport(
            recipe.Name ?? "", recipe.Model, spec.Family, model.Tensors.Tensors.Values.Sum(t => t.ElementCount),
            [.. recipe.Stages.Select((s, i) => new StagePlan(
                RecordShape.SnakeCase(s.Method.Attribute.Kind.ToString()), s.Method.Attribute.Name, selected[i].Count,
                methods[i].Calibrated))],
            sites, bytes, bytes - saved, tokens, Memory(spec, sites, tokens), Operations(spec, tokens, calibrated),
            RunEstimate.Measure(recipe, model), [.. RemarksOn(recipe)]);
    }

    private static SitePlan Plan(
        Recipe recipe, List<IMethod> methods, List<HashSet<string>> selected, SelectableSite site, TensorInfo info)
    {
        var actions = new List<string>();
        double? sparsity = null;
        (int? Bits, long? Bytes) encoded = default;
        for (var i = 0; i < methods.Count; i++)
        {
            if (!selected[i].Contains(site.Shape.Name)) continue;
            if (methods[i] is not ILinearMethod linear)
            {
                actions.Add(SitePlan.Describe(recipe.Stages[i], default));
                continue;
            }
            var outlook = linear.Outlook(site.Shape);
            sparsity = outlook.Sparsity ?? (recipe.Stages[i].KeepSparsity ? sparsity : null);
            if (outlook.Bits is { } bits) encoded = (bits, SitePlan.Encoded(site.Shape, outlook));
            actions.Add(SitePlan.Describe(recipe.Stages[i], outlook));
        }
        var elements = (long)site.Shape.OutFeatures * site.Shape.InFeatures;
        var before = elements * info.Type.Bits() / 8;
        return new SitePlan(
            site.Shape.Name, info.Name, site.Shape.OutFeatures, site.Shape.InFeatures, actions, sparsity, encoded.Bits, before,
            encoded.Bytes ?? before);
    }

    private static long Tokens(Recipe recipe, ModelSpec spec) => recipe.Calibration is { } c
        ? (long)c.Samples * (c.Length ?? Math.Min(spec.MaxPositions, 2048))
        : 0;

    /// <summary>Largest block in f32, its Hessians, and the hidden states of every calibration token.</summary>
    private static long Memory(ModelSpec spec, List<SitePlan> sites, long tokens)
    {
        var largest = sites.Count == 0 ? 0 : sites.Max(s => 4L * s.Rows * s.Columns);
        var block = spec.Blocks.Length == 0 ? 0
            : spec.Blocks.Max(b => SiteSelection.Linears(b).Sum(l => 4L * l.Spec.InFeatures * l.Spec.OutFeatures));
        var hessian = spec.Blocks.Length == 0 ? 0
            : spec.Blocks.Max(b => SiteSelection.Linears(b).Select(l => l.Spec.InFeatures).Distinct().Sum(n => 4L * n * n));
        return block + (2 * largest) + (tokens > 0 ? (2 * hessian) + (4L * tokens * spec.HiddenSize) : 0);
    }

    /// <summary>Each calibrated stage passes every token through every block twice: before and after it is compressed.</summary>
    private static double Operations(ModelSpec spec, long tokens, int stages) =>
        2.0 * 2 * stages * tokens * spec.Blocks.Sum(b => SiteSelection.Linears(b).Sum(l => (double)l.Spec.InFeatures * l.Spec.OutFeatures));

    private static IEnumerable<string> RemarksOn(Recipe recipe)
    {
        var pruned = false;
        foreach (var stage in recipe.Stages)
        {
            if (stage.Method.Attribute.Kind is StageKind.Quantize or StageKind.Distill && pruned && !stage.KeepSparsity)
                yield return $"{stage.Method.Attribute.Name} follows a prune stage without 'keep: sparsity': it may fill the zeros again.";
            var structured = stage.Method.Create(stage.Options) is IStructuredMethod;
            if (structured) yield return $"{stage.Method.Attribute.Name} makes the model smaller; the figures above are those of the shapes before it.";
            pruned |= stage.Method.Attribute.Kind == StageKind.Prune && !structured;
        }
        if (recipe.Export.Count == 0) yield return "Nothing is exported: add an entry under 'export'.";
        if (recipe.Evaluate.Count == 0) yield return "Nothing is measured: add '- perplexity: { data: text.txt }' under 'evaluate'.";
    }
}

/// <summary>A stage of a plan.</summary>
/// <param name="Stage">Kind of stage.</param>
/// <param name="Method">Its method.</param>
/// <param name="Sites">Sites it applies to.</param>
/// <param name="Calibrated">True where it needs calibration.</param>
internal sealed record StagePlan(string Stage, string Method, int Sites, bool Calibrated);

/// <summary>What happens to one site.</summary>
/// <param name="Site">Site name.</param>
/// <param name="Tensor">Tensor that holds it.</param>
/// <param name="Rows">Output features.</param>
/// <param name="Columns">Input features.</param>
/// <param name="Actions">What the stages do to it, in order; empty where it stays as it is.</param>
/// <param name="Sparsity">Share of zeros at the end, where it is known beforehand.</param>
/// <param name="Bits">Bits of a code at the end, where it is quantized.</param>
/// <param name="BytesBefore">Bytes as stored now.</param>
/// <param name="BytesAfter">Bytes of the final encoding: codes, scales, and zero points and group indices where there are any.</param>
internal sealed record SitePlan(
    string Site, string Tensor, int Rows, int Columns, IReadOnlyList<string> Actions, double? Sparsity, int? Bits, long BytesBefore,
    long BytesAfter)
{
    /// <summary>Bytes of a quantized site.</summary>
    public static long Encoded(SiteShape shape, SiteOutlook outlook)
    {
        if (outlook.Codebook is { } codebook) return codebook.Bytes(shape.OutFeatures, shape.InFeatures);
        var scheme = outlook.Encoding!;
        var groups = (long)shape.OutFeatures * scheme.Groups(shape.InFeatures);
        var bits = ((long)shape.OutFeatures * shape.InFeatures * scheme.Bits)
            + (groups * (scheme.ScaleType.Bits() + (scheme.Symmetric ? 0 : scheme.Bits)))
            + (scheme.ActivationOrder ? 32L * shape.InFeatures : 0);
        return (bits + 7) / 8;
    }

    /// <summary><c>prune wanda 50 %</c>, <c>quantize gptq 4 bits, groups of 64</c>.</summary>
    public static string Describe(StageRecipe stage, SiteOutlook outlook)
    {
        var name = $"{RecordShape.SnakeCase(stage.Method.Attribute.Kind.ToString())} {stage.Method.Attribute.Name}";
        if (outlook.Sparsity is { } sparsity) name += FormattableString.Invariant($" {100 * sparsity:0.#} %");
        if (outlook.Bits is { } bits) name += FormattableString.Invariant($" {bits} bits");
        if (outlook.Encoding?.GroupSize is { } group) name += FormattableString.Invariant($", groups of {group}");
        return name;
    }
}
