using static Compress.Core.Tests.Graph.Naive.NaiveMath;

namespace Compress.Core.Tests.Graph.Naive;

/// <summary>GPT-2, GPT-Neo, GPT-NeoX and OPT as their published modelling code defines them.</summary>
internal static class NaiveGpt
{
    /// <summary>GPT-2.</summary>
    /// <param name="model">Configuration and values.</param>
    /// <param name="ids">Token ids.</param>
    /// <param name="root">Prefix of the tensors.</param>
    /// <param name="kept">Dimensions over which norms take mean and variance, and outside of which they give zero; null for all.</param>
    public static double[][] Gpt2Logits(NaiveCheckpoint model, int[] ids, string root, int[]? kept = null)
    {
        var (hidden, heads, epsilon) = (model.Int("n_embd"), model.Int("n_head"), model.Double("layer_norm_epsilon"));
        var size = hidden / heads;
        var x = Positioned(model, ids, root + "wte.weight", root + "wpe.weight", hidden, 0);
        for (var i = 0; i < model.Int("n_layer"); i++)
        {
            var layer = $"{root}h.{i}.";
            var fused = Conv(Norm(x, layer + "ln_1"), layer + "attn.c_attn");
            var scale = (bool?)model.Config["scale_attn_weights"] == false ? 1 : 1 / Math.Sqrt(size);
            if ((bool?)model.Config["scale_attn_by_inverse_layer_idx"] == true) scale /= i + 1;
            var mixed = Enumerable.Range(0, heads)
                .Select(h => Attend(Head(fused, h, size), Head(fused, heads + h, size), Head(fused, 2 * heads + h, size), scale)).ToList();
            x = Add(x, Conv(Join(mixed), layer + "attn.c_proj"));
            x = Add(x, Conv(Map(Conv(Norm(x, layer + "ln_2"), layer + "mlp.c_fc"), GeluTanh), layer + "mlp.c_proj"));
        }
        return Linear(Norm(x, root + "ln_f"), model.Find("lm_head.weight") ?? model[root + "wte.weight"], null);

        double[][] Norm(double[][] rows, string name)
        {
            var (weight, bias) = (model[name + ".weight"], model[name + ".bias"]);
            if (kept is null) return LayerNorm(rows, weight, bias, epsilon);
            var part = LayerNorm([.. rows.Select(r => Pick(r))], Pick(weight), Pick(bias), epsilon);
            var places = Enumerable.Range(0, hidden).Select(d => Array.IndexOf(kept, d));
            return [.. part.Select(r => places.Select(i => i < 0 ? 0 : r[i]).ToArray())];
        }

        double[] Pick(double[] values) => [.. kept.Select(d => values[d])];

        double[][] Conv(double[][] rows, string name) => Conv1D(rows, model[name + ".weight"], model[name + ".bias"]);
    }

    public static double[][] NeoLogits(NaiveCheckpoint model, int[] ids, bool[] local)
    {
        var (hidden, heads, epsilon) = (model.Int("hidden_size"), model.Int("num_heads"), model.Double("layer_norm_epsilon"));
        var size = hidden / heads;
        var x = Positioned(model, ids, "transformer.wte.weight", "transformer.wpe.weight", hidden, 0);
        for (var i = 0; i < model.Int("num_layers"); i++)
        {
            var layer = $"transformer.h.{i}.";
            var normed = Norm(x, layer + "ln_1");
            var (q, k, v) = (Linear(normed, model[layer + "attn.attention.q_proj.weight"], null),
                Linear(normed, model[layer + "attn.attention.k_proj.weight"], null),
                Linear(normed, model[layer + "attn.attention.v_proj.weight"], null));
            // Attention scores are not scaled.
            var mixed = Enumerable.Range(0, heads).Select(h => Attend(
                Head(q, h, size), Head(k, h, size), Head(v, h, size), 1, local[i] ? model.Int("window_size") : null)).ToList();
            x = Add(x, Biased(Join(mixed), layer + "attn.attention.out_proj"));
            x = Add(x, Biased(Map(Biased(Norm(x, layer + "ln_2"), layer + "mlp.c_fc"), GeluTanh), layer + "mlp.c_proj"));
        }
        return Linear(Norm(x, "transformer.ln_f"), model["transformer.wte.weight"], null);

        double[][] Norm(double[][] rows, string name) => LayerNorm(rows, model[name + ".weight"], model[name + ".bias"], epsilon);

        double[][] Biased(double[][] rows, string name) => Linear(rows, model[name + ".weight"], model[name + ".bias"]);
    }

    public static double[][] NeoXLogits(NaiveCheckpoint model, int[] ids)
    {
        var (hidden, heads, epsilon) = (model.Int("hidden_size"), model.Int("num_attention_heads"), model.Double("layer_norm_eps"));
        var size = hidden / heads;
        var frequencies = Frequencies(model.Double("rotary_emb_base"), (int)(size * model.Double("rotary_pct")));
        var x = model.Rows("gpt_neox.embed_in.weight", ids, hidden);
        for (var i = 0; i < model.Int("num_hidden_layers"); i++)
        {
            var layer = $"gpt_neox.layers.{i}.";
            // Viewed as [heads, 3 · size]: query, key and value of a head lie side by side.
            var fused = Biased(Norm(x, layer + "input_layernorm"), layer + "attention.query_key_value");
            var mixed = Enumerable.Range(0, heads).Select(h => Attend(
                [.. Head(fused, 3 * h, size).Select((r, t) => Rotate(r, t, frequencies))],
                [.. Head(fused, 3 * h + 1, size).Select((r, t) => Rotate(r, t, frequencies))],
                Head(fused, 3 * h + 2, size),
                1 / Math.Sqrt(size))).ToList();
            var attended = Biased(Join(mixed), layer + "attention.dense");
            if ((bool)model.Config["use_parallel_residual"]!) x = Add(x, Add(attended, Mlp(x)));
            else x = Add(x = Add(x, attended), Mlp(x));

            double[][] Mlp(double[][] rows) => Biased(
                Map(Biased(Norm(rows, layer + "post_attention_layernorm"), layer + "mlp.dense_h_to_4h"), Gelu),
                layer + "mlp.dense_4h_to_h");
        }
        return Linear(Norm(x, "gpt_neox.final_layer_norm"), model["embed_out.weight"], null);

        double[][] Norm(double[][] rows, string name) => LayerNorm(rows, model[name + ".weight"], model[name + ".bias"], epsilon);

        double[][] Biased(double[][] rows, string name) => Linear(rows, model[name + ".weight"], model.Find(name + ".bias"));
    }

    public static double[][] OptLogits(NaiveCheckpoint model, int[] ids, string root)
    {
        var (hidden, heads) = (model.Int("hidden_size"), model.Int("num_attention_heads"));
        var size = hidden / heads;
        var before = (bool)model.Config["do_layer_norm_before"]!;
        var x = Positioned(model, ids, root + "embed_tokens.weight", root + "embed_positions.weight", hidden, 2);
        for (var i = 0; i < model.Int("num_hidden_layers"); i++)
        {
            var layer = $"{root}layers.{i}.";
            var input = before ? Norm(x, layer + "self_attn_layer_norm") : x;
            var (q, k, v) = (Biased(input, layer + "self_attn.q_proj"), Biased(input, layer + "self_attn.k_proj"),
                Biased(input, layer + "self_attn.v_proj"));
            var mixed = Enumerable.Range(0, heads)
                .Select(h => Attend(Head(q, h, size), Head(k, h, size), Head(v, h, size), 1 / Math.Sqrt(size))).ToList();
            x = Add(x, Biased(Join(mixed), layer + "self_attn.out_proj"));
            if (!before) x = Norm(x, layer + "self_attn_layer_norm");
            input = before ? Norm(x, layer + "final_layer_norm") : x;
            x = Add(x, Biased(Map(Biased(input, layer + "fc1"), Relu), layer + "fc2"));
            if (!before) x = Norm(x, layer + "final_layer_norm");
        }
        if (before) x = Norm(x, root + "final_layer_norm");
        return Linear(x, model[root + "embed_tokens.weight"], null);

        double[][] Norm(double[][] rows, string name) => LayerNorm(rows, model[name + ".weight"], model[name + ".bias"], 1e-5);

        double[][] Biased(double[][] rows, string name) => Linear(rows, model[name + ".weight"], model[name + ".bias"]);
    }

    private static double[][] Positioned(NaiveCheckpoint model, int[] ids, string tokens, string positions, int hidden, int offset) => Add(
        model.Rows(tokens, ids, hidden), model.Rows(positions, Enumerable.Range(offset, ids.Length), hidden));
}
