using System.Globalization;

namespace Compress.Formats.Tokenizers.Patterns;

/// <summary>Runs a compiled pattern at one position, backtracking over an explicit stack.</summary>
ref struct PatternMachine
{
    /// <summary>A choice to return to: at <paramref name="Position"/>, down to <paramref name="Limit"/> (runs), or a register to restore.</summary>
    readonly record struct Frame(int Instruction, int Position, int Limit, FrameKind Kind);

    enum FrameKind : byte
    {
        Resume,
        GreedyRun,
        LazyRun,
        Register,
    }

    [ThreadStatic]
    static Frame[]? spare;

    readonly ReadOnlySpan<char> text;
    readonly string source;
    readonly long budget;
    Frame[] stack;
    int[] registers = [];
    int depth;
    long steps;

    internal PatternMachine(ReadOnlySpan<char> text, string source)
    {
        this.text = text;
        this.source = source;
        budget = 10_000_000L + 200L * text.Length;
        stack = spare ?? new Frame[64];
        spare = null;
    }

    /// <summary>Leaves the stack to the thread's next machine, unless one text made it grow large.</summary>
    internal readonly void Release() => spare = stack.Length <= 4096 ? stack : null;

    /// <summary>The end of the match that begins at <paramref name="start"/>, or -1.</summary>
    internal int Run(Instruction[] code, int registerCount, int start)
    {
        if (registers.Length < registerCount) registers = new int[registerCount];
        return Execute(code, 0, start);
    }

    int Execute(Instruction[] code, int pc, int position)
    {
        var floor = depth;
        while (true)
        {
            if (++steps > budget) throw TooSlow();
            ref readonly var now = ref code[pc];
            if (now.Op == Op.Match)
            {
                depth = floor;
                return position;
            }
            if (!Step(code, in now, ref pc, ref position) && !Backtrack(code, floor, ref pc, ref position)) return -1;
        }
    }

    bool Step(Instruction[] code, in Instruction now, ref int pc, ref int position)
    {
        switch (now.Op)
        {
            case Op.One:
                if (position >= text.Length || !now.Set!.Contains(CodePointSet.CodePointAt(text, position, out var length))) return false;
                position += length;
                pc++;
                return true;
            case Op.GreedyRun or Op.PossessiveRun or Op.LazyRun:
                return StepRun(in now, ref pc, ref position);
            case Op.Split:
                Push(new Frame(now.B, position, 0, FrameKind.Resume));
                pc = now.A;
                return true;
            case Op.Jump:
                pc = now.A;
                return true;
            case Op.Mark:
                Push(new Frame(now.A, registers[now.A], 0, FrameKind.Register));
                registers[now.A] = position;
                pc++;
                return true;
            case Op.Progress:
                pc = registers[now.A] == position ? now.B : pc + 1;
                return true;
            case Op.Anchor:
                pc++;
                return Holds(now.Kind, position);
            default:
                return StepSub(code, in now, ref pc, ref position);
        }
    }

    bool StepRun(in Instruction now, ref int pc, ref int position)
    {
        var start = position;
        var most = now.Op == Op.LazyRun ? now.Min : now.Max;
        var count = 0;
        var least = start;
        while (count < most && position < text.Length && now.Set!.Contains(CodePointSet.CodePointAt(text, position, out var length)))
        {
            position += length;
            if (++count == now.Min) least = position;
        }
        steps += count >> 3;
        if (count < now.Min) return false;
        if (now.Op == Op.GreedyRun && position > least) Push(new Frame(pc + 1, position, least, FrameKind.GreedyRun));
        if (now.Op == Op.LazyRun && count < now.Max) Push(new Frame(pc, position, count, FrameKind.LazyRun));
        pc++;
        return true;
    }

    bool StepSub(Instruction[] code, in Instruction now, ref int pc, ref int position)
    {
        if (now.Op == Op.Atomic)
        {
            var end = Execute(code, now.A, position);
            pc = now.B;
            if (end >= 0) position = end;
            return end >= 0;
        }
        var from = position;
        var reachable = true;
        if (now.Op is Op.Behind or Op.NotBehind)
        {
            for (var i = 0; i < now.Min && reachable; i++)
            {
                if (from == 0) reachable = false;
                else
                {
                    CodePointSet.CodePointBefore(text, from, out var length);
                    from -= length;
                }
            }
        }
        var matches = reachable && Execute(code, now.A, from) >= 0;
        pc = now.B;
        return matches == now.Op is Op.Ahead or Op.Behind;
    }

    bool Backtrack(Instruction[] code, int floor, ref int pc, ref int position)
    {
        while (depth > floor)
        {
            var frame = stack[depth - 1];
            switch (frame.Kind)
            {
                case FrameKind.Register:
                    registers[frame.Instruction] = frame.Position;
                    depth--;
                    continue;
                case FrameKind.Resume:
                    depth--;
                    break;
                case FrameKind.GreedyRun:
                    CodePointSet.CodePointBefore(text, frame.Position, out var back);
                    var shorter = frame.Position - back;
                    if (shorter > frame.Limit) stack[depth - 1] = frame with { Position = shorter };
                    else depth--;
                    (pc, position) = (frame.Instruction, shorter);
                    return true;
                case FrameKind.LazyRun:
                    depth--;
                    if (!GrowLazyRun(code, frame, out position)) continue;
                    pc = frame.Instruction + 1;
                    return true;
            }
            (pc, position) = (frame.Instruction, frame.Position);
            return true;
        }
        return false;
    }

    bool GrowLazyRun(Instruction[] code, Frame frame, out int position)
    {
        ref readonly var run = ref code[frame.Instruction];
        position = frame.Position;
        if (position >= text.Length || !run.Set!.Contains(CodePointSet.CodePointAt(text, position, out var length))) return false;
        position += length;
        if (frame.Limit + 1 < run.Max) Push(frame with { Position = position, Limit = frame.Limit + 1 });
        return true;
    }

    readonly bool Holds(AnchorKind kind, int position) => kind switch
    {
        AnchorKind.TextStart => position == 0,
        AnchorKind.TextEnd => position == text.Length,
        AnchorKind.TextEndOrFinalNewline => position == text.Length || (position == text.Length - 1 && text[position] == '\n'),
        AnchorKind.LineStart => position == 0 || (text[position - 1] == '\n' && position < text.Length),
        AnchorKind.LineEnd => position == text.Length || text[position] == '\n',
        AnchorKind.WordBoundary => IsWordBoundary(position),
        _ => !IsWordBoundary(position),
    };

    readonly bool IsWordBoundary(int position)
    {
        var before = position > 0 && CodePointSet.IsWord(CodePointSet.CodePointBefore(text, position, out _));
        var after = position < text.Length && CodePointSet.IsWord(CodePointSet.CodePointAt(text, position, out _));
        return before != after;
    }

    void Push(Frame frame)
    {
        if (depth == stack.Length)
        {
            if (depth > 100_000 + 4L * text.Length) throw TooSlow();
            Array.Resize(ref stack, depth * 2);
        }
        stack[depth++] = frame;
    }

    readonly FormatException TooSlow() => new(string.Create(
        CultureInfo.InvariantCulture, $"pattern '{(source.Length > 80 ? source[..80] : source)}' backtracks without end on {text.Length} characters"));
}
