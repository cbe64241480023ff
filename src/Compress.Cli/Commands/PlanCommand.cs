using System.CommandLine;
using Compress.Cli.Reports;
using Compress.Cli.Terminal;
using Compress.Core.Recipes;

namespace Compress.Cli.Commands;

/// <summary><c>compress plan RECIPE</c>: what a run would do, without reading a weight.</summary>
internal static class PlanCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var recipe = new Argument<string>("RECIPE") { Description = "Recipe (YAML)." };
        var set = RecipeOptions.Set();
        var command = new ExampleCommand("plan", "Checks a recipe against its model's headers and shows what it would do to each site.",
            "plan recipes/quickstart.yaml", "plan recipes/quickstart.yaml --set stages.1.bits=3")
        { recipe, set };
        host.Attach(command, (parsed, session) =>
        {
            var bound = RecipeFile.Load(parsed.GetValue(recipe)!, Installed.Methods, parsed.GetValue(set));
            using var model = RecipeValidator.Open(bound);
            var plan = PlanReport.Of(bound.Value, model);
            return Task.FromResult(session.Write(plan, text => Write(text, plan)));
        });
        return command;
    }

    private static void Write(TextWriter text, PlanReport plan)
    {
        text.WriteLine($"{plan.Name}: {plan.Model}, {plan.Family}, {Human.Count(plan.Parameters)} parameters");
        text.WriteLine();
        for (var i = 0; i < plan.Stages.Count; i++)
        {
            var stage = plan.Stages[i];
            var calibrated = stage.Calibrated ? $", calibrated on {Human.Count(plan.CalibrationTokens)} tokens" : "";
            text.WriteLine($"stage {i + 1} of {plan.Stages.Count}: {stage.Stage} {stage.Method}, {stage.Sites} sites{calibrated}");
        }
        if (plan.Stages.Count > 0) text.WriteLine();
        var table = new TextTable("site", ">rows", ">columns", ">bytes", ">after", "what is done");
        foreach (var site in plan.Sites)
        {
            table.Add(site.Site, Human.Count(site.Rows), Human.Count(site.Columns), Human.Bytes(site.BytesBefore),
                Human.Bytes(site.BytesAfter),
                site.Actions.Count > 0 ? string.Join("; ", site.Actions) : "-");
        }
        table.Write(text);
        text.WriteLine();
        text.WriteLine($"weights: {Human.Bytes(plan.BytesBefore)} now, {Human.Bytes(plan.BytesAfter)} encoded "
            + $"({Human.Fixed(8.0 * plan.BytesAfter / Math.Max(1, plan.Parameters), 2)} bits a weight)");
        text.WriteLine($"memory: about {Human.Bytes(plan.PeakMemory)} beside the program itself");
        if (plan.ForwardOperations > 0)
        {
            text.WriteLine($"calibration: about {Human.Operations(plan.ForwardOperations)} of forward passes");
        }
        text.WriteLine($"time: about {Human.Duration(TimeSpan.FromSeconds(plan.Time.Seconds))} on this machine as it is now ("
            + string.Join(", ", plan.Time.Stages.Select((s, i) => $"stage {i + 1} {Human.Duration(TimeSpan.FromSeconds(s))}")
                .Append($"evaluation {Human.Duration(TimeSpan.FromSeconds(plan.Time.Evaluation))}")
                .Append($"export {Human.Duration(TimeSpan.FromSeconds(plan.Time.Export))}")) + ")");
        foreach (var remark in plan.Remarks) text.WriteLine($"note: {remark}");
    }
}
