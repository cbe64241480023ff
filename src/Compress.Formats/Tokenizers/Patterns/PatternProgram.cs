namespace Compress.Formats.Tokenizers.Patterns;

/// <summary>What an instruction of a compiled pattern does.</summary>
enum Op
{
    /// <summary>Take one code point of the set.</summary>
    One,

    /// <summary>Take Min to Max code points of the set, as many as possible, giving back one at a time.</summary>
    GreedyRun,

    /// <summary>Take Min to Max code points of the set and give nothing back.</summary>
    PossessiveRun,

    /// <summary>Take Min to Max code points of the set, as few as possible.</summary>
    LazyRun,

    /// <summary>Try A, then B.</summary>
    Split,

    /// <summary>Go to A.</summary>
    Jump,

    /// <summary>Remember the position in register A.</summary>
    Mark,

    /// <summary>Go to B, out of the loop, where nothing was consumed since register A was marked.</summary>
    Progress,

    /// <summary>Run the sub-program at A, keep its first match and go to B.</summary>
    Atomic,

    /// <summary>Go to B where the sub-program at A matches here (ahead).</summary>
    Ahead,

    /// <summary>Go to B where the sub-program at A does not match here.</summary>
    NotAhead,

    /// <summary>Go to B where a text of exactly Min code points before here matches the sub-program at A.</summary>
    Behind,

    /// <summary>Go to B where it does not.</summary>
    NotBehind,

    /// <summary>Test the position.</summary>
    Anchor,

    /// <summary>The program or sub-program has matched.</summary>
    Match,
}

/// <summary>One instruction.</summary>
readonly record struct Instruction(Op Op, CodePointSet? Set = null, int A = 0, int B = 0, int Min = 0, int Max = 0, AnchorKind Kind = default);

/// <summary>Compiles a pattern's syntax tree into the instructions of a backtracking machine (Pike and Thompson's scheme, ordered choice).</summary>
sealed class PatternProgram
{
    const int MaximumLength = 50_000;
    readonly List<Instruction> code = [];
    int registers;

    internal static (Instruction[] Code, int Registers) Compile(PatternNode node)
    {
        var program = new PatternProgram();
        program.Emit(node);
        program.Add(new Instruction(Op.Match));
        return (program.code.ToArray(), program.registers);
    }

    int Add(Instruction instruction)
    {
        if (code.Count >= MaximumLength) throw new FormatException("the pattern is too large once its repetitions are written out");
        code.Add(instruction);
        return code.Count - 1;
    }

    void Emit(PatternNode node)
    {
        switch (node)
        {
            case PatternNode.Class one:
                Add(new Instruction(Op.One, one.Set));
                break;
            case PatternNode.Sequence sequence:
                foreach (var item in sequence.Items) Emit(item);
                break;
            case PatternNode.Choice choice:
                EmitChoice(choice.Branches);
                break;
            case PatternNode.Repeat { Body: PatternNode.Class one } run:
                Add(new Instruction(run.Greedy ? Op.GreedyRun : Op.LazyRun, one.Set, Min: run.Min, Max: run.Max < 0 ? int.MaxValue : run.Max));
                break;
            case PatternNode.Repeat repeat:
                EmitRepeat(repeat);
                break;
            case PatternNode.Atomic { Body: PatternNode.Repeat { Body: PatternNode.Class one, Greedy: true } run }:
                Add(new Instruction(Op.PossessiveRun, one.Set, Min: run.Min, Max: run.Max < 0 ? int.MaxValue : run.Max));
                break;
            case PatternNode.Atomic atomic:
                EmitSub(Op.Atomic, atomic.Body, 0);
                break;
            case PatternNode.Look look:
                EmitLook(look);
                break;
            case PatternNode.Anchor anchor:
                Add(new Instruction(Op.Anchor, Kind: anchor.Kind));
                break;
        }
    }

    void EmitChoice(IReadOnlyList<PatternNode> branches)
    {
        var ends = new List<int>();
        for (var i = 0; i < branches.Count - 1; i++)
        {
            var split = Add(default);
            Emit(branches[i]);
            ends.Add(Add(default));
            code[split] = new Instruction(Op.Split, A: split + 1, B: code.Count);
        }
        Emit(branches[^1]);
        foreach (var end in ends) code[end] = new Instruction(Op.Jump, A: code.Count);
    }

    void EmitRepeat(PatternNode.Repeat repeat)
    {
        for (var i = 0; i < repeat.Min; i++) Emit(repeat.Body);
        if (repeat.Max < 0)
        {
            var register = registers++;
            var split = Add(default);
            Add(new Instruction(Op.Mark, A: register));
            Emit(repeat.Body);
            var progress = Add(default);
            Add(new Instruction(Op.Jump, A: split));
            code[progress] = new Instruction(Op.Progress, A: register, B: code.Count);
            code[split] = Choose(repeat.Greedy, split + 1, code.Count);
            return;
        }
        var skips = new List<int>();
        for (var i = repeat.Min; i < repeat.Max; i++)
        {
            skips.Add(Add(default));
            Emit(repeat.Body);
        }
        foreach (var skip in skips) code[skip] = Choose(repeat.Greedy, skip + 1, code.Count);
    }

    static Instruction Choose(bool greedy, int body, int after) =>
        greedy ? new Instruction(Op.Split, A: body, B: after) : new Instruction(Op.Split, A: after, B: body);

    void EmitLook(PatternNode.Look look)
    {
        var op = (look.Behind, look.Negative) switch
        {
            (false, false) => Op.Ahead,
            (false, true) => Op.NotAhead,
            (true, false) => Op.Behind,
            (true, true) => Op.NotBehind,
        };
        var width = !look.Behind ? 0 : FixedWidth(look.Body) ?? throw new FormatException("a look-behind must have a fixed width");
        EmitSub(op, look.Body, width);
    }

    void EmitSub(Op op, PatternNode body, int width)
    {
        var at = Add(default);
        Emit(body);
        Add(new Instruction(Op.Match));
        code[at] = new Instruction(op, A: at + 1, B: code.Count, Min: width);
    }

    static int? FixedWidth(PatternNode node) => node switch
    {
        PatternNode.Class => 1,
        PatternNode.Anchor or PatternNode.Look => 0,
        PatternNode.Atomic atomic => FixedWidth(atomic.Body),
        PatternNode.Repeat repeat when repeat.Min == repeat.Max => FixedWidth(repeat.Body) * repeat.Min,
        PatternNode.Sequence sequence => sequence.Items.Aggregate((int?)0, (sum, item) => sum + FixedWidth(item)),
        PatternNode.Choice choice when choice.Branches.Select(FixedWidth).Distinct().Count() == 1 => FixedWidth(choice.Branches[0]),
        _ => null,
    };
}
