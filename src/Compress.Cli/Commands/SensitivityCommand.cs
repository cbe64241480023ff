using System.CommandLine;
using System.Globalization;
using Compress.Cli.Terminal;
using Compress.Core.Recipes;
using Compress.Core.Sensitivity;

namespace Compress.Cli.Commands;

/// <summary><c>compress sensitivity RECIPE</c>: what each of several quantizers costs at each site.</summary>
internal static class SensitivityCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var recipe = new Argument<string>("RECIPE") { Description = "Recipe (YAML) whose quantize stages are the alternatives." };
        var set = RecipeOptions.Set();
        var output = new Option<string?>("--output") { Description = "Table to write; default: <name of the recipe>.sensitivity.json.", HelpName = "FILE" };
        var probe = new Option<int>("--probe") { Description = "Calibration windows over which the divergence is averaged.", DefaultValueFactory = _ => 8 };
        probe.Validators.Add(r => { if (r.GetValueOrDefault<int>() < 1) r.AddError("--probe must be at least 1."); });
        var resume = new Option<bool>("--resume") { Description = "Go on with what the table holds." };
        var command = new ExampleCommand("sensitivity", "Compresses one site at a time in several ways and measures what the model loses.",
            "sensitivity recipes/options.yaml --output out/options.json", "budget out/options.json --bits 4.25 --output out/mixed.yaml")
        { recipe, set, output, probe, resume };
        host.Attach(command, async (parsed, session) =>
        {
            var bound = RecipeFile.Load(parsed.GetValue(recipe)!, Installed.Methods, parsed.GetValue(set));
            var path = parsed.GetValue(output) ?? bound.Value.Name + ".sensitivity.json";
            if (File.Exists(path) && !parsed.GetValue(resume)) throw new UsageException($"{path} exists; --resume goes on with it, --output names another file.");
            session.ResumeHint = "Go on with the same command and --resume.";
            var table = await session.ShowProgressAsync(
                p => SensitivityStudy.MeasureAsync(bound, parsed.GetValue(probe), path, parsed.GetValue(resume), p, session.Cancellation));
            return session.Write(table, text => Write(text, table, path));
        });
        return command;
    }

    private static void Write(TextWriter text, SensitivityTable table, string path)
    {
        text.WriteLine($"KL divergence of the model with one site compressed, over {Human.Count(table.ProbeTokens)} tokens:");
        var columns = new TextTable(["site", .. table.Options.Select(o => ">" + o)]);
        foreach (var site in table.Entries.GroupBy(e => e.Site))
        {
            columns.Add([site.Key, .. Enumerable.Range(0, table.Options.Count).Select(o => site.FirstOrDefault(e => e.Option == o) is { } entry
                ? entry.Divergence.ToString("G3", CultureInfo.InvariantCulture)
                : "-")]);
        }
        columns.Add(["all, added up", .. Enumerable.Range(0, table.Options.Count)
            .Select(o => table.Entries.Where(e => e.Option == o).Sum(e => e.Divergence).ToString("G3", CultureInfo.InvariantCulture))]);
        columns.Add(["bits a weight", .. Enumerable.Range(0, table.Options.Count).Select(o => table.Entries.Where(e => e.Option == o).ToList())
            .Select(e => Human.Fixed(8.0 * e.Sum(x => x.Bytes) / Math.Max(1, e.Sum(x => x.Weights)), 2))]);
        columns.Write(text);
        text.WriteLine();
        text.WriteLine($"Written to {path}. Choose with: compress budget {path} --bits 4.25 --output mixed.yaml");
    }
}
