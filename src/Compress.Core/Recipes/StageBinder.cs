using Compress.Core.Methods;
using Compress.Core.Recipes.Yaml;

namespace Compress.Core.Recipes;

/// <summary>Binds <c>- prune: { method: wanda, sparsity: 0.5, targets: […], ignore: […], keep: sparsity }</c>.</summary>
/// <param name="catalogue">The methods that a stage may name.</param>
public sealed class StageBinder(MethodCatalogue catalogue) : INodeBinder
{
    /// <summary>Keys that every stage has beside the options of its method.</summary>
    public static IReadOnlyList<string> CommonKeys { get; } = ["method", "targets", "ignore", "keep"];

    /// <inheritdoc/>
    public Type Target => typeof(StageRecipe);

    /// <inheritdoc/>
    public object? Bind(YamlNode node, string path, BindContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (context.SingleKey(node, path, ScalarBinder.Names(typeof(StageKind))) is not { } entry) return null;
        var kind = Enum.GetValues<StageKind>().First(k => RecordShape.SnakeCase(k.ToString()) == entry.Key.Text);
        path = BindContext.Join(path, entry.Key.Text);
        context.Locate(path, entry.Key.Mark);
        var before = context.Problems.Count;
        if (Method(kind, entry, path, context) is not { } method) return null;
        var options = context.BindRecord(method.OptionsType, entry.Value, path, CommonKeys);
        var mapping = (YamlMapping)entry.Value;
        var stage = new StageRecipe
        {
            Method = method,
            Options = options ?? new object(),
            Targets = Patterns(mapping, "targets", path, context),
            Ignore = Patterns(mapping, "ignore", path, context),
            KeepSparsity = Keep(mapping, path, context),
        };
        return context.Problems.Count == before ? stage : null;
    }

    private MethodInfo? Method(StageKind kind, YamlEntry entry, string path, BindContext context)
    {
        var names = catalogue.Of(kind).Select(m => m.Attribute.Name).ToList();
        if (entry.Value is not YamlMapping mapping || mapping["method"] is not { } node)
        {
            if (entry.Value is YamlMapping && catalogue.Of(kind).FirstOrDefault(m => m.Attribute.IsDefault) is { } usual) return usual;
            context.Report(entry.Value.Mark, BindContext.Join(path, "method"), "is required and missing.",
                $"Methods: {string.Join(", ", names)}.");
            return null;
        }
        path = BindContext.Join(path, "method");
        context.Locate(path, node.Mark);
        if (node is not YamlScalar { IsNull: false } name)
        {
            context.Report(node.Mark, path, "must be the name of a method.", $"Methods: {string.Join(", ", names)}.");
            return null;
        }
        if (catalogue.Find(kind, name.Text) is { } method) return method;
        var elsewhere = catalogue.Methods.FirstOrDefault(m => m.Attribute.Name == name.Text);
        if (elsewhere is null)
        {
            context.Report(node.Mark, path, $"unknown method '{ScalarBinder.Shorten(name.Text)}'.",
                NearestName.Suggestion(name.Text, names, "methods"));
        }
        else
        {
            context.Report(node.Mark, path, $"'{name.Text}' is not a method of this kind of stage.",
                $"Write '- {RecordShape.SnakeCase(elsewhere.Attribute.Kind.ToString())}: {{ method: {name.Text}, … }}'.");
        }
        return null;
    }

    private static IReadOnlyList<string> Patterns(YamlMapping mapping, string key, string path, BindContext context) =>
        mapping[key] is { } node && context.Bind(typeof(IReadOnlyList<string>), node, BindContext.Join(path, key)) is { } patterns
            ? (IReadOnlyList<string>)patterns
            : [];

    private static bool Keep(YamlMapping mapping, string path, BindContext context)
    {
        if (mapping["keep"] is not { } node) return false;
        path = BindContext.Join(path, "keep");
        context.Locate(path, node.Mark);
        if (node is YamlScalar { Text: "sparsity" }) return true;
        context.Report(node.Mark, path, "must be 'sparsity'.", "Leave the key out to let this stage fill zeros.");
        return false;
    }
}
