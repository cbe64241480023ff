using System.Runtime.CompilerServices;
using Compress.Formats.Tokenizers;
using Compress.Runtime.Model;

namespace Compress.Runtime.Generation;

/// <summary>Continues a text.</summary>
/// <example>
/// <code>
/// using var model = RuntimeModel.Open("models/embedded");
/// await foreach (var piece in TextGenerator.ContinueAsync(model, "Gets the number of", maxTokens: 32, new SamplingOptions()))
///     Console.Write(piece);
/// </code>
/// </example>
public static class TextGenerator
{
    /// <summary>Streams the continuation of a prompt, piece by piece, until an end token or <paramref name="maxTokens"/>.</summary>
    /// <param name="model">The model.</param>
    /// <param name="prompt">The text to continue; special tokens are added as the tokenizer says.</param>
    /// <param name="maxTokens">Most tokens to generate.</param>
    /// <param name="sampling">How tokens are drawn.</param>
    /// <param name="cancellation">Ends the stream.</param>
    public static async IAsyncEnumerable<string> ContinueAsync(
        RuntimeModel model, string prompt, int maxTokens, SamplingOptions sampling, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(maxTokens);
        var tokenizer = model.LoadTokenizer();
        var tokens = tokenizer.Encode(prompt);
        if (tokens.Length == 0) tokens = [tokenizer.BosId ?? throw new ArgumentException("the prompt is empty and the model has no first token", nameof(prompt))];
        var sampler = new Sampler(sampling);
        var text = new StreamingDecoder(tokenizer);
        using var session = model.NewSession(tokens.Length + maxTokens);
        // A decoder shows a word's leading space only after another word: it must have seen the prompt.
        foreach (var token in tokens) text.Append(token);
        var next = tokens;
        for (var i = 0; i < maxTokens; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            var input = next;
            var token = await Task.Run(() => sampler.Next(session.Forward(input)), cancellation).ConfigureAwait(false);
            if (token == tokenizer.EosId) break;
            if (text.Append(token) is { Length: > 0 } piece) yield return piece;
            next = [token];
        }
        if (text.Flush() is { Length: > 0 } rest) yield return rest;
    }
}
