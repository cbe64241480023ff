using System.CommandLine;
using Compress.Cli.Terminal;
using Compress.Core.Methods;
using Compress.Core.Recipes;

namespace Compress.Cli.Commands;

/// <summary><c>compress methods [NAME]</c>: every method, or one with all its options.</summary>
internal static class MethodsCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create(CommandHost host)
    {
        var name = new Argument<string?>("NAME")
        {
            Description = "Show this method with all its options.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var command = new ExampleCommand("methods", "Lists the methods that recipes may use, or shows one with its options.",
            "methods", "methods wanda")
        { name };
        host.Attach(command, (parsed, session) => Task.FromResult(
            parsed.GetValue(name) is { } wanted ? Show(session, wanted) : List(session)));
        return command;
    }

    private static int List(CommandSession session)
    {
        var methods = Installed.Methods.Methods.Select(m => MethodReport.Of(m) with { Options = null }).ToList();
        return session.Write(new { methods }, text =>
        {
            var table = new TextTable("stage", "method", "what it does");
            foreach (var m in methods) table.Add(m.Stage, m.Name, m.Summary);
            table.Write(text);
        });
    }

    private static int Show(CommandSession session, string name)
    {
        var methods = Installed.Methods.Methods;
        if (methods.FirstOrDefault(m => m.Attribute.Name == name) is { } method)
        {
            var report = MethodReport.Of(method);
            return session.Write(report, text => Write(report, text));
        }
        var names = methods.Select(m => m.Attribute.Name).ToList();
        return session.Fail(ExitCode.RecipeWrong, $"unknown method '{name}'. {NearestName.Suggestion(name, names, "methods")}");
    }

    private static void Write(MethodReport report, TextWriter text)
    {
        text.WriteLine($"{report.Name} ({report.Stage}): {report.Summary}");
        text.WriteLine(report.Paper);
        text.WriteLine();
        foreach (var option in report.Options!)
        {
            text.WriteLine($"{option.Name}: {option.Type}, {(option.Required ? "required" : $"default {option.Default ?? "none"}")}");
            if (option.Description is not null) text.WriteLine($"    {option.Description}");
            foreach (var value in option.Values ?? []) text.WriteLine($"      {value.Name}: {value.Description}");
        }
        text.WriteLine();
        text.WriteLine("Every stage also takes targets and ignore (patterns over site names) and keep: sparsity (zeros stay zero).");
    }

    private sealed record MethodReport(string Name, string Stage, string Summary, string Paper, IReadOnlyList<OptionReport>? Options)
    {
        public static MethodReport Of(MethodInfo method) => new(
            method.Attribute.Name, RecordShape.SnakeCase(method.Attribute.Kind.ToString()), method.Attribute.Summary,
            method.Attribute.Paper,
            [.. RecordShape.Of(method.OptionsType).Keys.Select(OptionReport.Of)]);
    }

    private sealed record OptionReport(
        string Name, string Type, bool Required, string? Default, double? Minimum, double? Maximum, string? Description,
        IReadOnlyList<ValueReport>? Values)
    {
        public static OptionReport Of(RecipeKey key) => new(
            key.Name, key.Expected, key.Required, key.DefaultText, key.Bounds?.Minimum, key.Bounds?.Maximum, XmlDocs.Of(key.Property),
            key.Values?.Select(v => new ValueReport(v.Name, v.Documentation)).ToList());
    }

    private sealed record ValueReport(string Name, string? Description);
}
