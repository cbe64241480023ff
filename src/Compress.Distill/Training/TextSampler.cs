using Compress.Core.Graph;
using Compress.Formats.Tokenizers;
using static TorchSharp.torch;

namespace Compress.Distill.Training;

/// <summary>Continues a text with a model: a look at what it has learned, not a fast generator (every token runs the whole window).</summary>
/// <param name="graph">Borrowed model.</param>
/// <param name="tokenizer">Its tokenizer.</param>
public sealed class TextSampler(ModelGraph graph, Tokenizer tokenizer)
{
    /// <summary>Samples a continuation until the model ends the text or enough tokens were drawn.</summary>
    /// <param name="prompt">Beginning of the text.</param>
    /// <param name="tokens">Most tokens to draw.</param>
    /// <param name="temperature">Divides the logits; 0 takes the most likely token each time.</param>
    /// <param name="topP">Draws from the smallest set of tokens whose probabilities sum to this (Holtzman et al. 2020, arXiv:1904.09751).</param>
    /// <param name="seed">Equal seeds give equal texts.</param>
    /// <returns>Prompt and continuation.</returns>
    public string Continue(string prompt, int tokens, double temperature, double topP, int seed)
    {
        var ids = tokenizer.Encode(prompt).ToList();
        var random = SeededOrder.For(seed, 0);
        for (var drawn = 0; drawn < tokens; drawn++)
        {
            var next = Draw(Logits(ids), temperature, topP, random);
            if (next == tokenizer.EosId) break;
            ids.Add(next);
        }
        return tokenizer.Decode([.. ids]);
    }

    float[] Logits(List<int> ids)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var window = ids.Skip(Math.Max(0, ids.Count - graph.Spec.MaxPositions)).Select(id => (long)id).ToArray();
        var hidden = graph.Hidden(tensor(window, [1, window.Length], ScalarType.Int64, graph.Embedding.Tokens.device));
        return graph.Head.Forward(hidden.narrow(1, window.Length - 1, 1)).cpu().data<float>().ToArray();
    }

    static int Draw(float[] logits, double temperature, double topP, SeededOrder random)
    {
        var order = Enumerable.Range(0, logits.Length).OrderByDescending(i => logits[i]).ToArray();
        if (temperature <= 0) return order[0];
        var largest = logits[order[0]];
        var weights = order.Select(i => Math.Exp((logits[i] - largest) / temperature)).ToArray();
        var limit = topP * weights.Sum();
        var kept = 0;
        for (var mass = 0.0; kept < weights.Length && mass < limit; kept++) mass += weights[kept];
        var remaining = random.Uniform() * weights.Take(kept).Sum();
        for (var k = 0; k < kept; k++)
        {
            remaining -= weights[k];
            if (remaining < 0) return order[k];
        }
        return order[0];
    }
}
