using System.Text.Json.Nodes;
using static Compress.Core.Tests.Graph.Naive.NaiveMath;

namespace Compress.Core.Tests.Graph.Naive;

/// <summary>Phi-1.5/2 and Phi-3 as their published modelling code defines them.</summary>
internal static class NaivePhi
{
    /// <summary>Phi-1.5 and 2: <c>x + attention(norm x) + mlp(norm x)</c>.</summary>
    public static double[][] Phi2Logits(NaiveCheckpoint model, int[] ids)
    {
        var (hidden, epsilon) = (model.Int("hidden_size"), model.Double("layer_norm_eps"));
        var (heads, keyValueHeads) = (model.Int("num_attention_heads"), model.Int("num_key_value_heads"));
        var size = hidden / heads;
        var rotated = (int)(size * model.Double("partial_rotary_factor"));
        var frequencies = Frequencies(model.Double("rope_theta"), rotated);
        var x = model.Rows("model.embed_tokens.weight", ids, hidden);
        for (var i = 0; i < model.Int("num_hidden_layers"); i++)
        {
            var layer = $"model.layers.{i}.";
            var normed = LayerNorm(x, model[layer + "input_layernorm.weight"], model[layer + "input_layernorm.bias"], epsilon);
            var (q, k, v) = (Project(normed, layer + "self_attn.q_proj"), Project(normed, layer + "self_attn.k_proj"),
                Project(normed, layer + "self_attn.v_proj"));
            var mixed = Enumerable.Range(0, heads).Select(h => Attend(
                Turn(Normed(Head(q, h, size), layer + "self_attn.q_layernorm")),
                Turn(Normed(Head(k, h / (heads / keyValueHeads), size), layer + "self_attn.k_layernorm")),
                Head(v, h / (heads / keyValueHeads), size),
                1 / Math.Sqrt(size))).ToList();
            var attended = Project(Join(mixed), layer + "self_attn.dense");
            var fed = Project(Map(Project(normed, layer + "mlp.fc1"), GeluTanh), layer + "mlp.fc2");
            x = Add(x, Add(attended, fed));
        }
        x = LayerNorm(x, model["model.final_layernorm.weight"], model["model.final_layernorm.bias"], epsilon);
        return Project(x, "lm_head");

        double[][] Project(double[][] input, string name) => Linear(input, model[name + ".weight"], model[name + ".bias"]);

        double[][] Turn(double[][] rows) => [.. rows.Select((row, t) => Rotate(row, t, frequencies))];

        double[][] Normed(double[][] rows, string name) =>
            model.Find(name + ".weight") is { } w ? LayerNorm(rows, w, model[name + ".bias"], epsilon) : rows;
    }

    public static double[][] Phi3Logits(NaiveCheckpoint model, int[] ids)
    {
        var (hidden, epsilon, channels) = (model.Int("hidden_size"), model.Double("rms_norm_eps"), model.Int("intermediate_size"));
        var (heads, keyValueHeads) = (model.Int("num_attention_heads"), model.Int("num_key_value_heads"));
        var size = hidden / heads;
        var (frequencies, factor) = LongRope(model, size, ids.Length);
        var x = model.Rows("model.embed_tokens.weight", ids, hidden);
        for (var i = 0; i < model.Int("num_hidden_layers"); i++)
        {
            var layer = $"model.layers.{i}.";
            var normed = RmsNorm(x, model[layer + "input_layernorm.weight"], epsilon);
            var fused = Linear(normed, model[layer + "self_attn.qkv_proj.weight"], null);
            var mixed = Enumerable.Range(0, heads).Select(h =>
            {
                var group = h / (heads / keyValueHeads);
                var q = Head(fused, h, size).Select((r, t) => Rotate(r, t, frequencies, factor)).ToArray();
                var k = Head(fused, heads + group, size).Select((r, t) => Rotate(r, t, frequencies, factor)).ToArray();
                var v = Head(fused, heads + keyValueHeads + group, size);
                return Attend(q, k, v, 1 / Math.Sqrt(size), (int?)model.Config["sliding_window"]);
            }).ToList();
            x = Add(x, Linear(Join(mixed), model[layer + "self_attn.o_proj.weight"], null));
            var both = Linear(
                RmsNorm(x, model[layer + "post_attention_layernorm.weight"], epsilon), model[layer + "mlp.gate_up_proj.weight"], null);
            var gated = both.Select(row => Enumerable.Range(0, channels).Select(c => Silu(row[c]) * row[channels + c]).ToArray()).ToArray();
            x = Add(x, Linear(gated, model[layer + "mlp.down_proj.weight"], null));
        }
        return Linear(RmsNorm(x, model["model.norm.weight"], epsilon), model["lm_head.weight"], null);
    }

    private static (double[] Frequencies, double Factor) LongRope(NaiveCheckpoint model, int size, int length)
    {
        var dimensions = (int)(size * ((double?)model.Config["partial_rotary_factor"] ?? 1));
        var plain = Frequencies(model.Double("rope_theta"), dimensions);
        if (model.Config["rope_scaling"] is not JsonObject scaling) return (plain, 1);
        var (original, longest) = (model.Int("original_max_position_embeddings"), model.Int("max_position_embeddings"));
        var factors = scaling[length > original ? "long_factor" : "short_factor"]!.AsArray();
        var stretch = Math.Log((double)longest / original) / Math.Log(original);
        return ([.. plain.Select((f, i) => f / (double)factors[i]!)], Math.Sqrt(1 + stretch));
    }
}
