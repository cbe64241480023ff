using System.Globalization;
using Compress.Core.Graph;
using Compress.Core.Methods;
using Compress.Core.Pipeline;
using Compress.Formats;
using Compress.Formats.Architectures;
using Compress.Formats.Encodings;
using Compress.Formats.Encodings.Packed;
using Compress.Formats.Gguf;

namespace Compress.Core.Recipes;

/// <summary>Checks the stages of a recipe against the sites of its model.</summary>
/// <param name="recipe">The recipe.</param>
/// <param name="model">The model's headers.</param>
internal sealed class StageChecks(Bound<Recipe> recipe, ModelSpec model)
{
    private const int MostNamesShown = 3;

    private readonly IReadOnlyList<SelectableSite> sites = SiteSelection.All(model);
    private readonly List<RecipeProblem> problems = [];

    /// <summary>Everything that does not fit.</summary>
    /// <param name="first">The first stage that is checked: those before it are done.</param>
    public IReadOnlyList<RecipeProblem> Problems(int first = 0)
    {
        var quantized = new Dictionary<string, int>(StringComparer.Ordinal);
        var (encodings, tables) = (new List<(SiteShape Site, QuantizationScheme Scheme)>(), new List<string>());
        for (var i = first; i < recipe.Value.Stages.Count; i++)
        {
            var stage = recipe.Value.Stages[i];
            var path = RecipeValidator.PathOf(recipe.Value, i);
            CheckPatterns(stage.Targets, path + ".targets");
            CheckPatterns(stage.Ignore, path + ".ignore");
            var selected = SiteSelection.Select(model, stage);
            if (selected.Count == 0 && problems.All(p => !p.Key.StartsWith(path, StringComparison.Ordinal)))
                Report(path + ".ignore", "leaves no site for this stage.", "Ignore fewer sites, or leave the stage out.");
            var created = stage.Method.Create(stage.Options);
            CheckOrder(stage, i, created is ITrainingMethod training ? Changed(training, selected) : selected, quantized, path);
            if (created is not ILinearMethod method)
            {
                CheckWhole(stage, created, path);
                continue;
            }
            CheckFit(stage, method, selected, path);
            encodings.AddRange(selected.Select(s => (s.Shape, method.Outlook(s.Shape).Encoding)).Where(s => s.Encoding is not null)!);
            tables.AddRange(selected.Where(s => method.Outlook(s.Shape).Codebook is not null).Select(s => s.Shape.Name));
        }
        CheckExports(encodings, tables);
        return problems;
    }

    private void CheckPatterns(IReadOnlyList<string> patterns, string path)
    {
        var names = sites.Select(s => s.Shape.Name).ToList();
        for (var k = 0; k < patterns.Count; k++)
        {
            var pattern = patterns[k];
            // A recipe that leaves the head out is portable: the name is understood in every family.
            if (pattern == "lm_head" || names.Any(n => SitePattern.Matches(pattern, n))) continue;
            Report(string.Create(CultureInfo.InvariantCulture, $"{path}.{k}"),
                $"'{ScalarBinder.Shorten(pattern)}' matches no site of the model.", SuggestionFor(pattern, names));
        }
    }

    /// <summary>The nearest site names, or the nearest parts of names for a pattern like <c>*.down_prj</c>.</summary>
    private static string SuggestionFor(string pattern, List<string> names)
    {
        var parts = names.SelectMany(n => n.Split('.')).Distinct().ToList();
        var near = pattern.Contains('*', StringComparison.Ordinal)
            ? pattern.Split('.', '*').Where(p => p.Length > 0 && !parts.Contains(p)).SelectMany(p => Suggestion.Nearest(p, parts, 1))
                .ToList()
            : [.. Suggestion.Nearest(pattern, parts.Concat(names), MostNamesShown)];
        var hint = near.Count > 0 ? $"Did you mean {string.Join(" or ", near.Select(n => $"'{n}'"))}? " : "";
        var examples = names.Where(n => n.Contains('.', StringComparison.Ordinal)).Take(MostNamesShown);
        return $"{hint}Sites are named like {string.Join(", ", examples)}.";
    }

    /// <summary>Sites that training changes; the head of a tied table is no site of its own.</summary>
    private List<SelectableSite> Changed(ITrainingMethod training, IReadOnlyList<SelectableSite> selected)
    {
        var names = selected.Select(s => s.Shape.Name).ToHashSet(StringComparer.Ordinal);
        return [.. sites.Where(s => training.Changes(s, names.Contains(s.Shape.Name)))];
    }

    private void CheckWhole(StageRecipe stage, IMethod method, string path)
    {
        var unfit = method switch
        {
            IStructuredMethod structured => structured.Unfit(model),
            ITrainingMethod training => training.Unfit(model),
            _ => null,
        };
        if (unfit is not null) Report(path, unfit);
        if (stage.KeepSparsity && method is IStructuredMethod) Report(path + ".keep", $"{stage.Method.Attribute.Name} removes structures and keeps what is in the others.", "Leave it out.");
    }

    private void CheckFit(StageRecipe stage, ILinearMethod method, IReadOnlyList<SelectableSite> selected, string path)
    {
        var unfit = selected.Select(s => (s.Shape.Name, Problem: method.Unfit(s.Shape))).Where(s => s.Problem is not null);
        foreach (var group in unfit.GroupBy(s => s.Problem!))
        {
            Report(path, group.Count() == selected.Count ? group.Key : $"{Names([.. group.Select(s => s.Name)])}: {group.Key}");
        }
        var tables = selected.Where(s => s.Shape.Role == SiteRole.Embedding).ToList();
        if (tables.Count > 0 && method.Needs.Types.Count > 0)
            Report(path + ".targets",
                $"{tables[0].Shape.Name} is a look-up table without inputs, so {stage.Method.Attribute.Name} cannot be calibrated on it.",
                "Ignore it, or use a method that needs no calibration.");
        if (!model.Head.Tied) return;
        foreach (var site in selected.Where(s => s.Block is null))
        {
            Report(path + ".targets",
                $"selects {site.Shape.Name}, but token table and head are one tensor in this model: changing one changes the other.",
                "Ignore it.");
        }
    }

    /// <summary>A quantized weight is final: pruning it, or quantizing it again, would throw away what the earlier stage did.</summary>
    private void CheckOrder(
        StageRecipe stage, int index, IReadOnlyList<SelectableSite> selected, Dictionary<string, int> quantized, string path)
    {
        var again = selected.Where(s => quantized.ContainsKey(s.Shape.Name)).Select(s => s.Shape.Name).ToList();
        if (again.Count > 0)
        {
            var verb = stage.Method.Attribute.Kind switch
            {
                StageKind.Prune => "Prune before quantizing.",
                StageKind.Distill => "Train before quantizing, or ignore these sites.",
                _ => "Give the two stages different targets.",
            };
            var earlier = quantized[again[0]] + 1;
            Report(path, string.Create(CultureInfo.InvariantCulture, $"stage {earlier} already quantizes {Names(again)}."), verb);
        }
        if (stage.Method.Attribute.Kind != StageKind.Quantize) return;
        foreach (var site in selected) quantized.TryAdd(site.Shape.Name, index);
    }

    private void CheckExports(List<(SiteShape Site, QuantizationScheme Scheme)> encodings, List<string> tables)
    {
        foreach (var (i, _) in recipe.Value.Export.Index().Where(e => e.Item is { Sparse: not null, Format: not ExportRecipe.OwnFormat }))
        {
            Report(string.Create(CultureInfo.InvariantCulture, $"export.{i}.sparse"),
                $"says how zeros are stored, which only the format {ExportRecipe.OwnFormat} can choose.", "Leave it out.");
        }
        foreach (var (i, export) in recipe.Value.Export.Index())
        {
            var path = string.Create(CultureInfo.InvariantCulture, $"export.{i}");
            if (export.Format == ExportRecipe.GgufFormat) CheckGguf(export, path);
            else if (PackedFormat.All.Any(f => f.Name == export.Format)) CheckPacked(export, path, encodings, tables);
            else if (export.Type is not null) Report(path + ".type", $"{export.Format} has one layout.", "Leave it out.");
        }
    }

    private void CheckGguf(ExportRecipe export, string path)
    {
        if (GgufMixture.Find(export.Type ?? GgufMixture.Usual) is null)
            Report(path + ".type", $"'{Suggestion.Shorten(export.Type!)}' is not a valid value. Valid values: {string.Join(", ", GgufMixture.Names)}.");
        if (!export.To.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase))
            Report(path + ".to", "is written as a file, whose name has to end in .gguf.", $"Use {export.To}.gguf.");
    }

    private void CheckPacked(ExportRecipe export, string path, List<(SiteShape Site, QuantizationScheme Scheme)> encodings, List<string> tables)
    {
        if (export is { Format: "compressed-tensors", Type: Sparse24Format.Name })
        {
            if (encodings.Count + tables.Count > 0)
                Report(path + ".type", $"{Sparse24Format.Name} stores floats, and a stage quantizes.", $"Use {ExportRecipe.OwnFormat}.");
        }
        else if (PackedFormat.Find(export.Format, export.Type) is not { } format)
        {
            var types = PackedFormat.All.Where(f => f.Name == export.Format).Select(f => f.Type)
                .Concat(export.Format == "compressed-tensors" ? [Sparse24Format.Name] : []);
            Report(path + ".type", $"'{Suggestion.Shorten(export.Type!)}' is not a valid value. Valid values: {string.Join(", ", types)}.");
        }
        else if (tables.Count > 0)
        {
            Report(path + ".format", $"{Names(tables)}: {format.Name} stores integers in groups, and a stage makes tables.", $"Use {ExportRecipe.OwnFormat}.");
        }
        else if (encodings.Count == 0)
        {
            Report(path + ".format", $"{format.Name} packs quantized weights, and no stage quantizes.", "Use hf.");
        }
        else if (format.Unfit([.. encodings.Select(e => new PackedModule(e.Site.Name, e.Site.OutFeatures, e.Site.InFeatures, e.Scheme))]) is { } problem)
        {
            Report(path + ".format", problem, "Choose other options for the stage, or another format.");
        }
    }

    private static string Names(List<string> names) => names.Count <= MostNamesShown
        ? string.Join(", ", names)
        : string.Create(CultureInfo.InvariantCulture,
            $"{string.Join(", ", names.Take(MostNamesShown))} and {names.Count - MostNamesShown} more");

    private void Report(string path, string problem, string? suggestion = null) => problems.Add(recipe.Problem(path, problem, suggestion));
}
