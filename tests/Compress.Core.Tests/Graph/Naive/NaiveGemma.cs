using static Compress.Core.Tests.Graph.Naive.NaiveMath;

namespace Compress.Core.Tests.Graph.Naive;

/// <summary>Gemma 1, 2 and 3 (text) as their reports and published modelling code define them.</summary>
internal static class NaiveGemma
{
    public static double[][] Logits(NaiveCheckpoint model, int[] ids)
    {
        var hidden = model.Int("hidden_size");
        var type = (string)model.Config["model_type"]!;
        var x = Map(model.Rows("model.embed_tokens.weight", ids, hidden), v => v * Math.Sqrt(hidden));
        for (var i = 0; i < model.Int("num_hidden_layers"); i++)
        {
            var layer = $"model.layers.{i}.";
            var attended = Attention(model, layer + "self_attn.", Norm(model, x, layer + "input_layernorm"), i);
            if (type == "gemma")
            {
                x = Add(x, attended);
                x = Add(x, Mlp(model, layer + "mlp.", Norm(model, x, layer + "post_attention_layernorm")));
                continue;
            }
            x = Add(x, Norm(model, attended, layer + "post_attention_layernorm"));
            var fed = Mlp(model, layer + "mlp.", Norm(model, x, layer + "pre_feedforward_layernorm"));
            x = Add(x, Norm(model, fed, layer + "post_feedforward_layernorm"));
        }
        var logits = Linear(Norm(model, x, "model.norm"), model["model.embed_tokens.weight"], null);
        return (double?)model.Config["final_logit_softcapping"] is { } cap ? Map(logits, v => cap * Math.Tanh(v / cap)) : logits;
    }

    private static double[][] Norm(NaiveCheckpoint model, double[][] x, string name) =>
        RmsNorm(x, model[name + ".weight"], model.Double("rms_norm_eps"), offset: 1);

    private static double[][] Mlp(NaiveCheckpoint model, string name, double[][] x) => Linear(
        Multiply(Map(Linear(x, model[name + "gate_proj.weight"], null), GeluTanh), Linear(x, model[name + "up_proj.weight"], null)),
        model[name + "down_proj.weight"],
        null);

    private static double[][] Attention(NaiveCheckpoint model, string name, double[][] x, int layer)
    {
        var (heads, keyValueHeads, size) = (model.Int("num_attention_heads"), model.Int("num_key_value_heads"), model.Int("head_dim"));
        var type = (string)model.Config["model_type"]!;
        var scale = type == "gemma" ? 1 / Math.Sqrt(size) : 1 / Math.Sqrt(model.Double("query_pre_attn_scalar"));
        // Gemma 2: layers 0, 2, 4 … are local; Gemma 3: five local layers, then a global one.
        var local = type switch
        {
            "gemma2" => layer % 2 == 0,
            "gemma3_text" => layer % model.Int("sliding_window_pattern") != model.Int("sliding_window_pattern") - 1,
            _ => false,
        };
        var frequencies = type == "gemma3_text" && local
            ? Frequencies(model.Double("rope_local_base_freq"), size)
            : NaiveRope.Frequencies(model, size);
        var q = Linear(x, model[name + "q_proj.weight"], null);
        var k = Linear(x, model[name + "k_proj.weight"], null);
        var v = Linear(x, model[name + "v_proj.weight"], null);
        var mixed = Enumerable.Range(0, heads).Select(h => Attend(
            Prepared(q, h, "q_norm"),
            Prepared(k, h * keyValueHeads / heads, "k_norm"),
            Head(v, h * keyValueHeads / heads, size),
            scale,
            local ? model.Int("sliding_window") : null,
            (double?)model.Config["attn_logit_softcapping"])).ToList();
        return Linear(Join(mixed), model[name + "o_proj.weight"], null);

        double[][] Prepared(double[][] all, int head, string norm)
        {
            var rows = Head(all, head, size);
            if (type == "gemma3_text") rows = Norm(model, rows, name + norm);
            return [.. rows.Select((row, t) => Rotate(row, t, frequencies))];
        }
    }
}
