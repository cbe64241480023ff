using System.CommandLine;
using Compress.Cli.Terminal;
using Compress.Core.Recipes;
using Compress.Core.Runs;

namespace Compress.Cli.Commands;

/// <summary><c>compress run RECIPE</c>: from the original model to compressed checkpoints and measured results.</summary>
internal static class RunCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var recipe = new Argument<string>("RECIPE") { Description = "Recipe (YAML)." };
        var set = RecipeOptions.Set();
        var output = RecipeOptions.Output();
        var resume = new Option<bool>("--resume") { Description = "Go on with the run that was interrupted." };
        var command = new ExampleCommand("run", "Compresses a model as a recipe says, exports it, and measures it against the original.",
            "run recipes/quickstart.yaml",
            "run recipes/quickstart.yaml --set stages.0.sparsity=0.6 --output runs/sparser",
            "run recipes/quickstart.yaml --resume")
        { recipe, set, output, resume };
        host.Attach(command, (parsed, session) => RunAsync(
            session, parsed.GetValue(recipe)!, parsed.GetValue(set), parsed.GetValue(output), parsed.GetValue(resume)));
        return command;
    }

    private static async Task<int> RunAsync(CommandSession session, string path, string[]? set, string? output, bool resume)
    {
        var bound = RecipeFile.Load(path, Installed.Methods, set);
        // Everything that can be wrong is found here, before a folder is made or a weight is read.
        RecipeValidator.Open(bound).Dispose();
        var options = new RunOptions { OutputFolder = output ?? Path.Combine("runs", bound.Value.Name!), Resume = resume };
        var result = await session.ShowProgressAsync(progress =>
            CompressionRun.ExecuteAsync(bound.Value, options, progress, session.Cancellation));
        return session.Write(result, text => Write(text, result));
    }

    private static void Write(TextWriter text, RunResult result)
    {
        WriteQuality(text, result);
        WriteStorage(text, result);
        foreach (var speed in result.Speeds) WriteSpeed(text, speed);
        var times = new TextTable("wall time", ">", "");
        foreach (var s in result.Stages)
            times.Add($"stage {s.Number}: {s.Kind} {s.Method}", Human.Duration(TimeSpan.FromSeconds(s.Seconds)), $"{s.Sites} sites");
        if (result.Evaluations.Count + result.Speeds.Count > 0) times.Add("evaluation", Human.Duration(TimeSpan.FromSeconds(result.EvaluationSeconds)));
        times.Add("all", Human.Duration(TimeSpan.FromSeconds(result.Seconds)), $"peak memory {Human.Bytes(result.PeakMemory)}");
        times.Write(text);
        text.WriteLine();
        text.WriteLine($"Run folder: {result.Folder}");
    }

    private static void WriteQuality(TextWriter text, RunResult result)
    {
        foreach (var r in result.Evaluations)
        {
            text.WriteLine($"{r.Dataset}: protocol {r.Protocol}, {Human.Count(r.Windows)} windows of {r.Window}, "
                + $"{Human.Count(r.Tokens)} tokens scored, {r.Precision}, {r.Engine}");
            var table = new TextTable("", ">original", ">result", ">± standard error");
            table.Add("perplexity", Human.Optional(r.ReferencePerplexity, 4), Human.Fixed(r.Perplexity, 4),
                Human.Fixed(r.PerplexityStandardError, 4));
            table.Add("bits per byte", Human.Optional(r.ReferenceBitsPerByte, 4), Human.Optional(r.BitsPerByte, 4));
            if (r.KlMean is not null)
            {
                table.Add("KL divergence to the original", "0", Human.Optional(r.KlMean, 5), Human.Optional(r.KlMeanStandardError, 5));
                table.Add("same top token as the original", Human.Percent(1), Human.Percent(r.Top1Agreement!.Value),
                    Human.Percent(r.Top1AgreementStandardError!.Value));
            }
            table.Write(text);
            text.WriteLine();
        }
    }

    private static void WriteStorage(TextWriter text, RunResult result)
    {
        var figures = result.Exports.Select(e => e.Figures).Prepend(result.Original).ToList();
        var table = new TextTable(["", ">original", .. result.Exports.Select(e => $">{Path.GetFileName(e.Path)} ({e.Format})")]);
        table.Add(["bytes on disk", .. figures.Select(f => Human.Bytes(f.Bytes))]);
        table.Add(["bits per weight, compressed linears", .. figures.Select(f => Human.Fixed(f.BitsPerWeight, 2))]);
        table.Add(["bits per weight, whole model", .. figures.Select(f => Human.Fixed(f.ModelBitsPerWeight, 2))]);
        table.Add(["share of zeros, compressed linears", .. figures.Select(f => Human.Percent(f.Zeros))]);
        table.Write(text);
        text.WriteLine();
    }

    private static void WriteSpeed(TextWriter text, SpeedComparison speed)
    {
        var (before, after) = (speed.Original, speed.Result);
        var table = new TextTable($"engine in C#, {after.Threads} threads", ">original", $">{speed.Export}", ">times as fast");
        table.Add($"prompt of {after.PromptTokens}, tokens/s", Human.Rate(before.PromptTokensPerSecond), Human.Rate(after.PromptTokensPerSecond),
            Human.Fixed(after.PromptTokensPerSecond / before.PromptTokensPerSecond, 2));
        table.Add($"generating {after.GenerateTokens}, tokens/s", Human.Rate(before.GenerateTokensPerSecond),
            Human.Rate(after.GenerateTokensPerSecond), Human.Fixed(after.GenerateTokensPerSecond / before.GenerateTokensPerSecond, 2));
        table.Add("weights read for a token", Human.Bytes(before.WeightBytes), Human.Bytes(after.WeightBytes));
        table.Add("share of the memory's read rate", Human.Percent(before.BandwidthShare!.Value), Human.Percent(after.BandwidthShare!.Value));
        table.Write(text);
        text.WriteLine();
    }
}
