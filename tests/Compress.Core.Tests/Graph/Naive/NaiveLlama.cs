using static Compress.Core.Tests.Graph.Naive.NaiveMath;

namespace Compress.Core.Tests.Graph.Naive;

/// <summary>Llama, Mistral, Qwen2 and Qwen3 as their papers and published modelling code define them.</summary>
internal static class NaiveLlama
{
    public static double[][] Logits(NaiveCheckpoint model, int[] ids)
    {
        var hidden = model.Int("hidden_size");
        var epsilon = model.Double("rms_norm_eps");
        var x = model.Rows("model.embed_tokens.weight", ids, hidden);
        for (var i = 0; i < model.Int("num_hidden_layers"); i++)
        {
            var layer = $"model.layers.{i}.";
            x = Add(x, Attention(model, layer + "self_attn.", RmsNorm(x, model[layer + "input_layernorm.weight"], epsilon), i));
            var normed = RmsNorm(x, model[layer + "post_attention_layernorm.weight"], epsilon);
            var gate = Map(Linear(normed, model[layer + "mlp.gate_proj.weight"], model.Find(layer + "mlp.gate_proj.bias")), Silu);
            var up = Linear(normed, model[layer + "mlp.up_proj.weight"], model.Find(layer + "mlp.up_proj.bias"));
            x = Add(x, Linear(Multiply(gate, up), model[layer + "mlp.down_proj.weight"], model.Find(layer + "mlp.down_proj.bias")));
        }
        x = RmsNorm(x, model["model.norm.weight"], epsilon);
        return Linear(x, model.Find("lm_head.weight") ?? model["model.embed_tokens.weight"], null);
    }

    private static double[][] Attention(NaiveCheckpoint model, string name, double[][] x, int layer)
    {
        var heads = model.Int("num_attention_heads");
        var keyValueHeads = model.Int("num_key_value_heads");
        var size = (int?)model.Config["head_dim"] ?? model.Int("hidden_size") / heads;
        var frequencies = NaiveRope.Frequencies(model, size);
        var q = Linear(x, model[name + "q_proj.weight"], model.Find(name + "q_proj.bias"));
        var k = Linear(x, model[name + "k_proj.weight"], model.Find(name + "k_proj.bias"));
        var v = Linear(x, model[name + "v_proj.weight"], model.Find(name + "v_proj.bias"));
        var window = Window(model, layer);
        var mixed = new List<double[][]>();
        for (var h = 0; h < heads; h++)
        {
            var group = h / (heads / keyValueHeads);
            mixed.Add(Attend(Prepared(q, h, "q_norm.weight"), Prepared(k, group, "k_norm.weight"), Head(v, group, size),
                1 / Math.Sqrt(size), window));
        }
        return Linear(Join(mixed), model[name + "o_proj.weight"], model.Find(name + "o_proj.bias"));

        double[][] Prepared(double[][] all, int head, string norm)
        {
            var rows = Head(all, head, size);
            if (model.Find(name + norm) is { } weight) rows = RmsNorm(rows, weight, model.Double("rms_norm_eps"));
            return [.. rows.Select((row, t) => Rotate(row, t, frequencies))];
        }
    }

    // Mistral windows every layer; Qwen windows those from max_window_layers on, where use_sliding_window is set.
    private static int? Window(NaiveCheckpoint model, int layer)
    {
        var window = (int?)model.Config["sliding_window"];
        return (string)model.Config["model_type"]! switch
        {
            "mistral" => window,
            "qwen2" or "qwen3" when (bool?)model.Config["use_sliding_window"] == true && layer >= model.Int("max_window_layers") => window,
            _ => null,
        };
    }
}
