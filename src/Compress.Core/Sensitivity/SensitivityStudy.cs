using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Compress.Core.Calibration;
using Compress.Core.Evaluation;
using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Pipeline;
using Compress.Core.Progress;
using Compress.Core.Recipes;
using Compress.Core.Recipes.Yaml;
using Compress.Core.Runs;
using Compress.Core.Torch;
using Compress.Formats.Checkpoints;
using static TorchSharp.torch;

namespace Compress.Core.Sensitivity;

/// <summary>
/// Measures what each of several quantizers costs at each site: the stages of the recipe are alternatives, and every site is compressed by
/// each of them while the others stay as they are.
/// </summary>
/// <remarks>
/// The divergence of single sites adds up to that of all to first order, which is what makes a choice under a budget separable (Yao et al.
/// 2021, HAWQ-V3, arXiv:2011.10680, section 3.3, with measured divergences in the place of traces). A block's variants go through the blocks
/// behind it together, so that each of these is loaded once for all of them; memory holds one block and the variants' hidden states.
/// </remarks>
public sealed class SensitivityStudy : IDisposable
{
    private const long HeadRows = 256;

    private readonly Recipe recipe;
    private readonly ModelFolder model;
    private readonly ForwardSettings forward;
    private readonly IReadOnlyList<int[]> windows, probe;
    private readonly PositionTables tables = new();
    private readonly CancellationToken cancellation;
    private readonly IProgress<RunEvent> progress;

    private SensitivityStudy(
        Recipe recipe, ModelFolder model, ForwardSettings forward, IReadOnlyList<int[]> windows, int probe, IProgress<RunEvent> progress,
        CancellationToken cancellation)
    {
        (this.recipe, this.model, this.forward, this.windows) = (recipe, model, forward, windows);
        this.probe = [.. windows.Take(probe)];
        (this.progress, this.cancellation) = (progress, cancellation);
    }

    /// <summary>Measures every option at every site, or what is left of them.</summary>
    /// <param name="recipe">A bound recipe whose stages are the options; paths resolved.</param>
    /// <param name="probe">Calibration windows over which the divergence is averaged; all of them count for the methods' statistics.</param>
    /// <param name="path">The table, rewritten behind each block.</param>
    /// <param name="resume">Whether to keep what the file holds already.</param>
    /// <param name="progress">Takes progress.</param>
    /// <param name="cancellation">Stops between batches; finished blocks are in the file.</param>
    /// <exception cref="RecipeException">The recipe does not fit, or a stage is no quantizer of single sites.</exception>
    /// <exception cref="Formats.ModelFileException">Model, text or the table to go on with cannot be read.</exception>
    public static Task<SensitivityTable> MeasureAsync(
        Bound<Recipe> recipe, int probe, string path, bool resume, IProgress<RunEvent> progress, CancellationToken cancellation = default) =>
        Task.Run(() => Measure(recipe, probe, path, resume, progress, cancellation), CancellationToken.None);

    /// <inheritdoc/>
    public void Dispose() => tables.Dispose();

    private static SensitivityTable Measure(
        Bound<Recipe> bound, int probe, string path, bool resume, IProgress<RunEvent> progress, CancellationToken cancellation)
    {
        var recipe = bound.Value;
        NativeHeap.ReturnLargeBlocks();
        using var model = ModelFolder.Open(recipe.Model);
        RequireFit(bound, model);
        var table = Begin(recipe, path, resume, (long)probe);
        var device = RunEnvironment.Device(recipe);
        // The rounding of bf16 alone costs 2e-4 nats, as much as a good option at a small site.
        var forward = new ForwardSettings(ScalarType.Float32, ScalarType.Float32, device, recipe.Calibration!.BatchSize);
        var drawn = CalibrationDraw.Make(recipe.Calibration, recipe.Seed, model, progress).Windows.Select(w => w.Tokens).ToList();
        using var study = new SensitivityStudy(recipe, model, forward, drawn, probe, progress, cancellation);
        table = table with { ProbeTokens = study.probe.Sum(w => (long)w.Length) };
        return study.Run(table, path);
    }

    /// <summary>Each option must fit by itself; together they would be said to quantize a site twice.</summary>
    private static void RequireFit(Bound<Recipe> bound, ModelFolder model)
    {
        var problems = new List<RecipeProblem>();
        if (bound.Value.Calibration is null)
            problems.Add(bound.Problem("calibration", "is missing: divergences are measured on its windows.", "Add 'calibration: { data: text.txt }'."));
        if (bound.Value.Stages.Count == 0) problems.Add(bound.Problem("stages", "holds no option.", "List the quantize stages to compare."));
        for (var i = 0; i < bound.Value.Stages.Count; i++)
        {
            var stage = bound.Value.Stages[i];
            var path = RecipeValidator.PathOf(bound.Value, i);
            var alone = new Bound<Recipe>(bound.Value with { Stages = [stage], Export = [], Evaluate = [] }, bound.File, new Dictionary<string, Mark>());
            var found = RecipeValidator.WithoutModel(alone).Concat(RecipeValidator.AgainstModel(alone, model.Spec));
            problems.AddRange(found.Select(p => bound.Problem(path, p.Problem, p.Suggestion)));
            if (stage.Method.Attribute.Kind != StageKind.Quantize || stage.Method.Create(stage.Options) is not ILinearMethod or ISurveyingMethod or IScalingMethod)
                problems.Add(bound.Problem(path, "is no quantizer of single sites.", "List quantize stages only, such as rtn and gptq; not methods that scale several sites together."));
            else if (SiteSelection.Select(model.Spec, stage).Any(s => s.Block is null))
                problems.Add(bound.Problem(path, "selects head or token table; sites of the decoder blocks are measured.", "Ignore them."));
        }
        if (problems.Count > 0) throw new RecipeException(problems);
    }

    private static SensitivityTable Begin(Recipe recipe, string path, bool resume, long probe)
    {
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', RunInputs.WeightFiles(recipe.Model).Order(StringComparer.Ordinal).Select(f => RunInputs.Hash(f)))));
        var options = recipe.Stages.Select(Describe).ToList();
        var empty = new SensitivityTable(RecipeWriter.Write(recipe), Convert.ToHexStringLower(hash), options, probe, []);
        if (!resume || !File.Exists(path)) return empty;
        var before = SensitivityTable.Read(path);
        if (before.Recipe == empty.Recipe && before.ModelSha256 == empty.ModelSha256) return before;
        throw new Formats.ModelFileException(path, "was begun with another recipe or model.", "Delete it, or choose another file with --output.");
    }

    private static string Describe(StageRecipe stage)
    {
        var outlook = ((ILinearMethod)stage.Method.Create(stage.Options)).Outlook(new SiteShape("", SiteRole.Up, 4096, 4096));
        var group = outlook.Encoding?.GroupSize is { } size ? string.Create(CultureInfo.InvariantCulture, $", groups of {size}") : "";
        return string.Create(CultureInfo.InvariantCulture, $"{stage.Method.Attribute.Name} {outlook.Bits} bits{group}");
    }

    private SensitivityTable Run(SensitivityTable table, string path)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var done = table.Entries.Select(e => e.Block).ToHashSet();
        var reference = Reference();
        using var seen = Activations.Embed(model.Tensors, model.Spec, windows, forward, cancellation);
        var hidden = Embed();
        var blocks = model.Spec.Blocks.Length;
        progress.Report(new PhaseStarted("sensitivity", blocks, "blocks"));
        for (var i = 0; i < blocks; i++)
        {
            using var inner = NewDisposeScope();
            using var source = new StreamedTensors(model.Tensors);
            using var block = Load(source, i);
            if (!done.Contains(i))
            {
                table = table with { Entries = [.. table.Entries, .. OfBlock(i, block, seen, hidden, reference)] };
                table.Write(path);
            }
            if (i + 1 < blocks)
            {
                seen.Advance(block);
                hidden.copy_(block.Forward(hidden));
            }
            progress.Report(new PhaseAdvanced(i + 1, block.Spec.Prefix));
        }
        progress.Report(new PhaseEnded());
        return table;
    }

    /// <summary>Every site of a block under every option.</summary>
    private List<SiteOption> OfBlock(int index, Block block, Activations seen, Tensor hidden, Tensor reference)
    {
        var entries = new List<SiteOption>();
        var variants = new List<Tensor>();
        for (var option = 0; option < recipe.Stages.Count; option++)
        {
            var stage = recipe.Stages[option];
            var method = (ILinearMethod)stage.Method.Create(stage.Options);
            var sites = SiteSelection.Select(model.Spec, stage).Where(s => s.Block == index)
                .Select(s => (Selected: s, Linear: block.Sites.First(b => b.Name == s.Shape.Name))).ToList();
            if (sites.Count == 0) continue;
            using var statistics = new StatisticsCollector(method.Needs, sites.Select(s => s.Linear), forward.Device);
            if (method.Needs.Types.Count > 0) seen.Observe(block, statistics);
            var compressor = new SiteCompressor(stage, 1, method, model.Tensors, recipe.Seed, forward.Device);
            foreach (var (selected, linear) in sites)
            {
                cancellation.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                var (weight, report) = compressor.Compress(selected, statistics.Of(linear.InputName), []);
                using (weight)
                {
                    var original = linear.Weight.clone();
                    linear.Weight = weight.Weight.to(forward.Compute, copy: true);
                    variants.Add(block.Forward(hidden).MoveToOuterDisposeScope());
                    linear.Weight = original;
                    var weights = (long)report.Rows * report.Columns;
                    entries.Add(new SiteOption(report.Site, report.Role, index, option, weights, weight.Encoded!.StoredBytes, report.OutputError, 0));
                }
            }
        }
        PassOn(variants, index + 1);
        return [.. entries.Zip(variants, (entry, variant) => entry with { Divergence = Divergence(variant, reference) })];
    }

    private void PassOn(List<Tensor> variants, int from)
    {
        for (var i = from; i < model.Spec.Blocks.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var source = new StreamedTensors(model.Tensors);
            using var block = Load(source, i);
            foreach (var variant in variants)
            {
                using var scope = NewDisposeScope();
                variant.copy_(block.Forward(variant));
            }
        }
    }

    /// <summary>Mean KL of the original's next tokens from a variant's.</summary>
    private double Divergence(Tensor variant, Tensor reference)
    {
        using var source = new StreamedTensors(model.Tensors);
        using var head = Head.Load(source, model.Spec, forward.Compute, forward.Device);
        var sum = 0.0;
        var rows = variant.flatten(0, 1);
        for (long at = 0; at < rows.shape[0]; at += HeadRows)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(HeadRows, rows.shape[0] - at);
            var p = head.Forward(reference.narrow(0, at, count)).log_softmax(-1);
            var q = head.Forward(rows.narrow(0, at, count)).log_softmax(-1);
            sum += (p.exp() * (p - q)).sum().to(ScalarType.Float64).item<double>();
        }
        return Math.Max(0, sum / rows.shape[0]);
    }

    /// <summary>Hidden states of the original behind its last block, <c>[tokens, hidden]</c>.</summary>
    private Tensor Reference()
    {
        var hidden = Embed();
        for (var i = 0; i < model.Spec.Blocks.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            using var source = new StreamedTensors(model.Tensors);
            using var block = Load(source, i);
            hidden.copy_(block.Forward(hidden));
        }
        return hidden.flatten(0, 1);
    }

    /// <summary>The probe's embedded tokens <c>[windows, length, hidden]</c>, in the current dispose scope.</summary>
    private Tensor Embed()
    {
        using var scope = NewDisposeScope();
        using var source = new StreamedTensors(model.Tensors);
        using var embedding = Embedding.Load(source, model.Spec, ScalarType.Float32, forward.Device);
        var ids = stack([.. probe.Select(w => tensor(w, ScalarType.Int64, forward.Device))]);
        return embedding.Forward(ids).to(forward.Residual).MoveToOuterDisposeScope();
    }

    private Block Load(StreamedTensors source, int index) =>
        Block.Load(source, model.Spec.Blocks[index], forward.Compute, forward.Device, tables);
}
