using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Compress.Cli.Terminal;
using Compress.Core.Progress;
using Compress.Core.Recipes;

namespace Compress.Cli;

/// <summary>What a running command may use: where to write, and when to stop.</summary>
/// <param name="output">Takes results.</param>
/// <param name="error">Takes progress, warnings and errors.</param>
/// <param name="json">True where the result is one JSON document.</param>
/// <param name="cancellation">Cancelled by Ctrl-C and SIGTERM.</param>
internal sealed class CommandSession(TextWriter output, TextWriter error, bool json, CancellationToken cancellation)
{
    private static readonly JsonSerializerOptions Options = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    /// <summary>Takes results for people; nothing but one document when <see cref="Json"/>.</summary>
    public TextWriter Output { get; } = output;

    /// <summary>Takes progress, warnings and errors.</summary>
    public TextWriter Error { get; } = error;

    /// <summary>True where the result is one JSON document.</summary>
    public bool Json { get; } = json;

    /// <summary>Cancelled by Ctrl-C and SIGTERM.</summary>
    public CancellationToken Cancellation { get; } = cancellation;

    /// <summary>How an interrupted command is taken up again; empty where it cannot be.</summary>
    public string ResumeHint { get; set; } = "";

    /// <summary>A value as JSON with snake_case keys.</summary>
    public static JsonNode ToJson(object value) => JsonSerializer.SerializeToNode(value, Options)!;

    /// <summary>A JSON document as text.</summary>
    public static string Indented(JsonNode document) => document.ToJsonString(Options);

    /// <summary>Writes the result.</summary>
    /// <param name="result">What <c>--json</c> writes.</param>
    /// <param name="text">Writes the same for people.</param>
    /// <returns><see cref="ExitCode.Fine"/>.</returns>
    public int Write(object result, Action<TextWriter> text)
    {
        if (Json) Output.WriteLine(JsonSerializer.Serialize(result, Options));
        else text(Output);
        return ExitCode.Fine;
    }

    /// <summary>Reports a failure: a message for people, and the JSON document where one was asked for.</summary>
    /// <param name="code">Exit code.</param>
    /// <param name="message">What is wrong, where, and what to do.</param>
    /// <param name="problems">Single problems of a recipe.</param>
    /// <returns>The exit code.</returns>
    public int Fail(int code, string message, IReadOnlyList<RecipeProblem>? problems = null)
    {
        Error.WriteLine(Printable.Of(problems is null ? $"compress: {message}" : message));
        if (!Json) return code;
        var document = new JsonObject { ["error"] = new JsonObject { ["code"] = code, ["message"] = message } };
        if (problems is not null) document["error"]!["problems"] = ToJson(problems);
        Output.WriteLine(document.ToJsonString(Options));
        return code;
    }

    /// <summary>Runs work that reports events, shown on standard error.</summary>
    public Task<T> ShowProgressAsync<T>(Func<IProgress<RunEvent>, Task<T>> work) => ProgressDisplay.RunAsync(Error, work);
}
