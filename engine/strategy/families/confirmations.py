"""What families ask for besides their entry: `X` with the move, `X_LOW` on its other side."""

from __future__ import annotations

from engine.strategy.families.parts import CLOSE, Confirmation, line, over, when

RSI = Confirmation(
    "RSI is strong",
    (over("rsi_length", 7, 14, 20), over("rsi_min", 45, 50, 55, 60)),
    lambda v: (when(line("rsi", length=v["rsi_length"]), ">", v["rsi_min"]),),
)
RSI_LOW = Confirmation(
    "RSI is weak",
    (over("rsi_length", 7, 14, 20), over("rsi_max", 25, 30, 35, 40)),
    lambda v: (when(line("rsi", length=v["rsi_length"]), "<", v["rsi_max"]),),
)
ADX = Confirmation(
    "ADX shows a trend",
    (over("adx_length", 7, 14, 20), over("adx_min", 15, 20, 25, 30)),
    filters=lambda v: (when(line("adx", "adx", length=v["adx_length"]), ">", v["adx_min"]),),
)
ADX_LOW = Confirmation(
    "ADX shows no trend",
    (over("adx_length", 7, 14, 20), over("adx_max", 20, 25, 30, 40)),
    filters=lambda v: (when(line("adx", "adx", length=v["adx_length"]), "<", v["adx_max"]),),
)
STOCHASTIC = Confirmation(
    "the stochastic is high",
    (over("stochastic_length", 9, 14, 21), over("stochastic_min", 30, 50, 70)),
    lambda v: (
        when(line("stochastic", "k", length=v["stochastic_length"]), ">", v["stochastic_min"]),
    ),
)
STOCHASTIC_LOW = Confirmation(
    "the stochastic is low",
    (over("stochastic_length", 9, 14, 21), over("stochastic_max", 15, 20, 30)),
    lambda v: (
        when(line("stochastic", "k", length=v["stochastic_length"]), "<", v["stochastic_max"]),
    ),
)
MFI = Confirmation(
    "money flows in",
    (over("mfi_length", 7, 14, 20), over("mfi_min", 45, 50, 55, 60)),
    lambda v: (when(line("mfi", length=v["mfi_length"]), ">", v["mfi_min"]),),
)
MFI_LOW = Confirmation(
    "money has flowed out",
    (over("mfi_length", 7, 14, 20), over("mfi_max", 20, 30, 40)),
    lambda v: (when(line("mfi", length=v["mfi_length"]), "<", v["mfi_max"]),),
)
CCI = Confirmation(
    "CCI is high",
    (over("cci_length", 14, 20, 34), over("cci_min", 0, 50, 100)),
    lambda v: (when(line("cci", length=v["cci_length"]), ">", v["cci_min"]),),
)
CCI_LOW = Confirmation(
    "CCI is low",
    (over("cci_length", 14, 20, 34), over("cci_max", -150, -100, -50)),
    lambda v: (when(line("cci", length=v["cci_length"]), "<", v["cci_max"]),),
)
VOLUME = Confirmation(
    "volume is above its average",
    (over("volume_length", 10, 20, 50), over("volume_min", 1.0, 1.2, 1.5, 2.0)),
    filters=lambda v: (
        when(line("volume_ratio", length=v["volume_length"]), ">", v["volume_min"]),
    ),
)
ATR = Confirmation(
    "prices swing enough",
    (over("atr_length", 7, 14, 30), over("atr_min_frac", 0.002, 0.004, 0.006)),
    filters=lambda v: (
        when(line("atr", "percent", length=v["atr_length"]), ">", v["atr_min_frac"]),
    ),
)
SQUEEZE = Confirmation(
    "the bands were narrow",
    (over("bandwidth_max", 0.02, 0.03, 0.05, 0.08),),
    filters=lambda v: (
        when(
            line("bollinger", "bandwidth", length=v["bollinger_length"], width=2.0),
            "<",
            v["bandwidth_max"],
        ),
    ),
)
ROC = Confirmation(
    "the price has risen",
    (over("roc_length", 5, 10, 20), over("roc_min", 0.0, 0.5, 1.0)),
    lambda v: (when(line("roc", length=v["roc_length"]), ">", v["roc_min"]),),
)
MACD = Confirmation(
    "MACD stands above its signal",
    (over("macd_fast", 8, 12, 16), over("macd_slow", 26, 34, 50)),
    lambda v: (
        when(
            line("macd", "histogram", fast=v["macd_fast"], slow=v["macd_slow"], signal=9), ">", 0.0
        ),
    ),
)
OBV = Confirmation(
    "on-balance volume stands above its average",
    (over("obv_length", 10, 20, 34, 50),),
    lambda v: (
        when(
            line("obv", length=v["obv_length"]), ">", line("obv", "average", length=v["obv_length"])
        ),
    ),
)
TREND = Confirmation(
    "the close stands above a slow EMA",
    (over("trend_length", 50, 80, 100, 150),),
    lambda v: (when(CLOSE, ">", line("ema", length=v["trend_length"])),),
)
