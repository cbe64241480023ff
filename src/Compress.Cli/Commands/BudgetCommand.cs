using System.CommandLine;
using System.Globalization;
using Compress.Cli.Terminal;
using Compress.Core.Recipes;
using Compress.Core.Sensitivity;
using Compress.Formats;

namespace Compress.Cli.Commands;

/// <summary><c>compress budget TABLE --bits B</c>: the recipe that spends a budget where it helps most.</summary>
internal static class BudgetCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var file = new Argument<string>("TABLE") { Description = "Table that 'compress sensitivity' wrote." };
        var bits = new Option<double?>("--bits") { Description = "Most bits a weight over all sites of the table, scales and the like included." };
        var bytes = new Option<long?>("--bytes") { Description = "Most bytes of all sites of the table." };
        var fused = new Option<bool>("--fused") { Description = "q, k and v of a block take one option, gate and up too: vLLM fuses them." };
        var output = new Option<string>("--output") { Description = "Recipe to write.", HelpName = "FILE", Required = true };
        var command = new ExampleCommand("budget", "Chooses bits and method for each site under a budget and writes them as an ordinary recipe.",
            "budget out/options.json --bits 4.25 --output out/mixed.yaml")
        { file, bits, bytes, fused, output };
        host.Attach(command, (parsed, session) =>
        {
            var (b, n) = (parsed.GetValue(bits), parsed.GetValue(bytes));
            if (b is null == n is null) throw new UsageException("Give --bits or --bytes.");
            var path = parsed.GetValue(file)!;
            var table = SensitivityTable.Read(path);
            var weights = table.Entries.DistinctBy(e => e.Site).Sum(e => e.Weights);
            var budget = n ?? (long)(b!.Value * weights / 8);
            var choice = BudgetSolver.Choose(table.Entries, budget, parsed.GetValue(fused) ? MixedRecipe.FusedWith : null)
                ?? throw new UsageException(string.Create(CultureInfo.InvariantCulture,
                    $"Even the smallest options need {MixedRecipe.Smallest(table)} bytes ({8.0 * MixedRecipe.Smallest(table) / weights:F2} bits a weight); the budget is {budget}."));
            var recipe = MixedRecipe.Of(table, choice, path, Installed.Methods);
            AtomicFile.WriteText(parsed.GetValue(output)!, RecipeWriter.Write(recipe));
            return Task.FromResult(Write(session, table, choice, weights, parsed.GetValue(output)!));
        });
        return command;
    }

    private static int Write(CommandSession session, SensitivityTable table, IReadOnlyDictionary<string, int> choice, long weights, string output)
    {
        var chosen = table.Entries.Where(e => choice[e.Site] == e.Option).ToList();
        var size = chosen.Sum(e => e.Bytes);
        var result = new
        {
            recipe = output,
            bytes = size,
            bits_per_weight = 8.0 * size / weights,
            expected_divergence = chosen.Sum(e => e.Divergence),
            options = table.Options.Select((name, o) => new { name, sites = chosen.Count(e => e.Option == o), weights = chosen.Where(e => e.Option == o).Sum(e => e.Weights) }),
        };
        return session.Write(result, text =>
        {
            var lines = new TextTable("option", ">sites", ">share of the weights");
            foreach (var option in result.options) lines.Add(option.name, Human.Count(option.sites), Human.Fixed(100.0 * option.weights / weights, 1) + " %");
            lines.Write(text);
            text.WriteLine();
            text.WriteLine($"{Human.Bytes(size)}, {Human.Fixed(result.bits_per_weight, 3)} bits a weight; "
                + $"KL divergence added up over sites {result.expected_divergence.ToString("G3", CultureInfo.InvariantCulture)}");
            text.WriteLine($"Written to {output}. Run it with: compress run {output}");
        });
    }
}
