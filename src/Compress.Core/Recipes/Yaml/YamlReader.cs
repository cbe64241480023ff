using System.Text;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Compress.Core.Recipes.Yaml;

/// <summary>Reads YAML into nodes that know their place, within limits that a hostile file cannot exceed.</summary>
/// <remarks>
/// Only YamlDotNet's event parser is used: no type is ever made from a tag. Aliases share their anchor's node, and what they
/// stand for counts in full against <see cref="MaxNodes"/>, so nested aliases cannot blow up; an alias inside its own anchor is refused.
/// </remarks>
public static class YamlReader
{
    /// <summary>Longest text accepted, in bytes.</summary>
    public const int MaxBytes = 256 * 1024;

    /// <summary>Deepest nesting accepted.</summary>
    public const int MaxDepth = 32;

    /// <summary>Most nodes accepted, aliases expanded.</summary>
    public const int MaxNodes = 20_000;

    /// <summary>Reads a file that holds one mapping.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="RecipeException">The file is missing, too long, not UTF-8 or not a YAML mapping.</exception>
    public static YamlMapping ReadFile(string path)
    {
        byte[] bytes;
        try
        {
            if (Directory.Exists(path))
                throw new RecipeException(path, 0, 0, "", "is a folder, not a recipe.", "Give the .yaml file inside it.");
            using var stream = File.OpenRead(path);
            bytes = new byte[MaxBytes + 1];
            var count = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            if (count > MaxBytes)
                throw new RecipeException(path, 0, 0, "", $"is longer than the {MaxBytes / 1024} KiB that a recipe may have.");
            bytes = bytes[..count];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new RecipeException(path, 0, 0, "", Missing(e) ? "no such file." : $"cannot be read: {e.Message}", NearbyRecipe(path));
        }
        return ReadMapping(path, Decode(path, bytes));
    }

    /// <summary>Reads a text that holds one mapping.</summary>
    /// <param name="file">Name for messages.</param>
    /// <param name="text">The YAML text.</param>
    /// <exception cref="RecipeException">The text is not one YAML mapping within the limits.</exception>
    public static YamlMapping ReadMapping(string file, string text) => Read(file, text) switch
    {
        YamlMapping mapping => mapping,
        YamlScalar { IsNull: true } => throw new RecipeException(file, 1, 1, "", "is empty."),
        var other => throw new RecipeException(
            file, other.Mark.Line, other.Mark.Column, "", "must be a mapping of keys to values.", "Write 'key: value' lines."),
    };

    /// <summary>Reads a text that holds one value of any kind.</summary>
    /// <param name="file">Name for messages.</param>
    /// <param name="text">The YAML text; empty for null.</param>
    /// <exception cref="RecipeException">The text is not one YAML document within the limits.</exception>
    public static YamlNode Read(string file, string text) => Read(file, text, hasLines: true);

    /// <summary>Reads the value of a command-line argument, which has no lines worth naming.</summary>
    internal static YamlNode ReadArgument(string argument, string text) => Read(argument, text, hasLines: false);

    private static YamlNode Read(string file, string text, bool hasLines)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Length > MaxBytes)
            throw new RecipeException(file, 0, 0, "", $"is longer than the {MaxBytes / 1024} KiB that a recipe may have.");
        var parser = new Parser(new StringReader(text));
        try
        {
            return new Builder(file, hasLines, parser).Document();
        }
        catch (YamlException e)
        {
            var (line, column) = hasLines ? ((int)e.Start.Line, (int)e.Start.Column) : (0, 0);
            throw new RecipeException(file, line, column, "", $"is not valid YAML: {e.Message.TrimEnd('.')}.");
        }
        catch (Exception e) when (e is not RecipeException)
        {
            // The parser answers some malformed texts with exceptions of other kinds (seen: InvalidOperationException in a plain scalar).
            var (line, column) = hasLines && parser.Current is { } last ? ((int)last.End.Line, (int)last.End.Column) : (0, 0);
            throw new RecipeException(file, line, column, "", "is not valid YAML.");
        }
    }

    private static bool Missing(Exception e) => e is FileNotFoundException or DirectoryNotFoundException;

    private static string? NearbyRecipe(string path)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path));
        if (path.Length == 0 || !Directory.Exists(folder)) return null;
        var names = Directory.EnumerateFiles(folder, "*.y*ml").Take(200).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal)
            .ToList();
        var near = NearestName.Of(Path.GetFileName(path), names);
        return near is null ? null : $"Did you mean '{Path.Combine(Path.GetDirectoryName(path) ?? "", near)}'?";
    }

    private static string Decode(string path, byte[] bytes)
    {
        try
        {
            return new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true).GetString(bytes).TrimStart('\uFEFF');
        }
        catch (DecoderFallbackException e)
        {
            throw new RecipeException(path, 0, 0, "", $"is not UTF-8 text (byte {e.Index}).", "Is it a YAML file?");
        }
    }

    private sealed class Builder(string file, bool hasLines, IParser parser)
    {
        private readonly Dictionary<string, YamlNode> anchors = [];
        private int nodes;

        public YamlNode Document()
        {
            parser.Consume<StreamStart>();
            if (parser.TryConsume<StreamEnd>(out var end)) return new YamlScalar(At(end.Start), "", Quoted: false);
            parser.Consume<DocumentStart>();
            var root = Node(0);
            parser.Consume<DocumentEnd>();
            if (!parser.Accept<StreamEnd>(out _))
            {
                throw Fail(parser.Current!.Start, "holds more than one YAML document.", "Remove everything from the second '---' on.");
            }
            return root;
        }

        private YamlNode Node(int depth)
        {
            var start = parser.Current?.Start ?? YamlDotNet.Core.Mark.Empty;
            if (depth > MaxDepth) throw Fail(start, $"nests deeper than {MaxDepth} levels.");
            if (parser.TryConsume<AnchorAlias>(out var alias)) return Counted(alias.Start, Anchored(alias));
            if (!parser.Accept<NodeEvent>(out var node)) throw Fail(start, "is not valid YAML here.");
            if (!node.Tag.IsEmpty && !node.Tag.IsNonSpecific)
                throw Fail(node.Start, $"has the type tag {node.Tag.Value}.", "Remove it: types come from the keys.");
            YamlNode made = node switch
            {
                Scalar s => ScalarNode(s),
                SequenceStart s => Sequence(s, depth),
                MappingStart m => Mapping(m, depth),
                _ => throw Fail(node.Start, "is not valid YAML here."),
            };
            if (made is YamlScalar) Counted(node.Start, made);
            else Count(node.Start, 1);
            if (!node.Anchor.IsEmpty) anchors[node.Anchor.Value] = made;
            return made;
        }

        private YamlScalar ScalarNode(Scalar scalar)
        {
            parser.MoveNext();
            return new YamlScalar(At(scalar.Start), scalar.Value, scalar.Style is not (ScalarStyle.Plain or ScalarStyle.Any));
        }

        private YamlSequence Sequence(SequenceStart start, int depth)
        {
            parser.MoveNext();
            var items = new List<YamlNode>();
            while (!parser.TryConsume<SequenceEnd>(out _)) items.Add(Node(depth + 1));
            return new YamlSequence(At(start.Start), items);
        }

        private YamlMapping Mapping(MappingStart start, int depth)
        {
            parser.MoveNext();
            var entries = new List<YamlEntry>();
            var seen = new Dictionary<string, YamlScalar>();
            while (!parser.TryConsume<MappingEnd>(out _))
            {
                if (Node(depth + 1) is not YamlScalar key) throw Fail(parser.Current!.Start, "has a key that is not a plain word.");
                if (!seen.TryAdd(key.Text, key))
                {
                    throw new RecipeException(file, key.Mark.Line, key.Mark.Column, key.Text,
                        $"is written twice{(hasLines ? $"; the first is on line {seen[key.Text].Mark.Line}" : "")}.",
                        "Remove one of them.");
                }
                entries.Add(new YamlEntry(key, Node(depth + 1)));
            }
            return new YamlMapping(At(start.Start), entries);
        }

        private YamlNode Anchored(AnchorAlias alias) => anchors.TryGetValue(alias.Value.Value, out var node)
            ? node
            : throw Fail(alias.Start, $"refers to *{alias.Value.Value}, which is not defined before it.");

        private YamlNode Counted(YamlDotNet.Core.Mark at, YamlNode node)
        {
            Count(at, node.Size);
            return node;
        }

        private void Count(YamlDotNet.Core.Mark at, int size)
        {
            nodes += size;
            if (nodes > MaxNodes) throw Fail(at, $"holds more than {MaxNodes} values, aliases included.");
        }

        private Mark At(YamlDotNet.Core.Mark mark) => hasLines ? new(file, (int)mark.Line, (int)mark.Column) : new(file, 0, 0);

        private RecipeException Fail(YamlDotNet.Core.Mark mark, string problem, string? suggestion = null)
        {
            var at = At(mark);
            return new RecipeException(file, at.Line, at.Column, "", problem, suggestion);
        }
    }
}
